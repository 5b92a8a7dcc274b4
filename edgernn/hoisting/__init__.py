"""A trained network's step, taken out of it: its state in and out, wherever it keeps it."""
