"""Pictures and captions in, pixels and ids out."""
