"""Core ML programs, run operator by operator on any machine."""
