"""TorchScript: the session of a traced module, read before it is loaded."""
