"""onnxruntime: the session of an ONNX file, its guard, and decoding in the graph."""
