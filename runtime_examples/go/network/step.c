/* The step of the bundle. With contraction off every compiler gives the same bits; cgo takes no option for that, nor
   for what lets gcc use vectors for comparisons. */
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off", "no-trapping-math")
#endif
#if __has_include("net/step.c")
#include "net/step.c"
#endif
