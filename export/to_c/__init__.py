"""C99: a graph of one step as a function that allocates nothing and calls nothing."""
