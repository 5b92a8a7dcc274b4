"""From tensors by name to the blocks of a network, whatever their upstream called them."""
