"""Rounding that every format shares: blocks, recipes, calibration, and what the text loses."""
