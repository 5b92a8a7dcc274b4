"""Pairs of texts: what a translator reads, and what it writes of it."""
