"""Examples with a label each, one of a few classes: texts, and clips of frames."""
