"""OpenVINO: reading its files without the package, and the sessions that run them."""
