"""A foreign step in torch's own operators: what formats other than ONNX, and integers, need."""
