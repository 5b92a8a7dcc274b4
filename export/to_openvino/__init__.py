"""OpenVINO: the ONNX graph of a step as OpenVINO's own files."""
