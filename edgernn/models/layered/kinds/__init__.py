"""The kinds of layers, each with its options, its parameters and what it computes."""
