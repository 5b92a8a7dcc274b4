"""onnxruntime as JavaScript programs have it: its packages of npm, run in a node process."""
