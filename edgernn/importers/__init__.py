"""Networks that others trained, read from their files without running anything in them."""
