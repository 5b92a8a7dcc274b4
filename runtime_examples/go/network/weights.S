/* The weights of the step, which the assembler takes in. */
#if __has_include("net/step.weights.S")
#include "net/step.weights.S"
#endif
