/* The step of the bundle. */
#if __has_include("net/step.c")
#include "net/step.c"
#endif
