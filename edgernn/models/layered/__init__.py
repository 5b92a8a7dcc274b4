"""A network described by layers: what it is as data, and the model that is built from it."""
