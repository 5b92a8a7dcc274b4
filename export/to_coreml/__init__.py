"""Core ML: the exporter of both rows, and its weights."""
