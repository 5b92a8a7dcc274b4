#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && !defined(NET_FLOATS_KIND)
#define NET_FLOATS_KIND
/* y[0 .. rows) = the bias, and the sums over x0 and x1, of panels of KIND rows: 16 at a time, whose sums
   stay in registers. */
__attribute__((noinline)) static void product_KIND(
    float *restrict y, const float *restrict w, const float *restrict x0, int n0,
    const float *restrict x1, int n1, int rows)
{
    for (int start = 0; start < rows; start += 16) {
        const int group = start % KIND;
        const float *own = w + group;
        float sums[16];
        for (int r = 0; r < 16; ++r) { sums[r] = own[r]; }
        for (const float *x = x0, *const end = x0 + n0; x != end; ++x) {
            own += KIND;
            for (int r = 0; r < 16; ++r) { sums[r] += own[r] * *x; }
        }
        for (const float *x = x1, *const end = x1 + n1; x != end; ++x) {
            own += KIND;
            for (int r = 0; r < 16; ++r) { sums[r] += own[r] * *x; }
        }
        for (int r = 0; r < 16 && start + r < rows; ++r) { y[start + r] = sums[r]; }
        if (group == KIND - 16) { w += (n0 + n1 + 1) * KIND; }
    }
}
#endif
