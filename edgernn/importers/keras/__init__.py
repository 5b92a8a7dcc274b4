"""Models of Keras, of every version that wrote HDF5 or ``.keras``; Keras itself is not needed."""
