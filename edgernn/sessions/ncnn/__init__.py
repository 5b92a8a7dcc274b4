"""ncnn: the files of a network, read and checked by itself, and run by the ncnn package."""
