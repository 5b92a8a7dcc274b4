"""LiteRT: the exporter, its converter, its weights."""
