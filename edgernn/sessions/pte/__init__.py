"""ExecuTorch programs (``.pte``), read without running anything of them."""
