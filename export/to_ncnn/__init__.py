"""ncnn: the layers of a step, written from its ONNX graph, and their weights."""
