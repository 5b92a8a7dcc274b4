/* The step as a table of tensors. */
#if __has_include("net/network.c")
#include "net/network.c"
#endif
