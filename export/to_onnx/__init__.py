"""ONNX: the exporter, its passes, and decoding in the graph."""
