"""ONNX files of other programs: their state found, made explicit, and proved against the file."""
