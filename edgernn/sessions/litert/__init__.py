"""LiteRT: ``.tflite`` files, read before they are run."""
