"""ExecuTorch: the step face through torch.export and the XNNPACK backend."""
