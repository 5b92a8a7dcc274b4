#ifndef NET_FLOATS_KIND
#define NET_FLOATS_KIND
/* y[0 .. rows) = the bias, and the sums over x0 and x1, of panels of KIND rows. Put into its
   callers by gcc, it would keep its sums in memory. */
__attribute__((noinline)) static void product_KIND(
    float *restrict y, const float *restrict w, const float *restrict x0, int n0,
    const float *restrict x1, int n1, int rows)
{
    for (; rows > 0; rows -= KIND, y += KIND) {
        const int count = rows < KIND ? rows : KIND;
        float sums[KIND];
        for (int r = 0; r < KIND; ++r) { sums[r] = w[r]; }
        w += KIND;
        for (int k = 0; k < n0; ++k, w += KIND) {
            const float x = x0[k];
            for (int r = 0; r < KIND; ++r) { sums[r] += w[r] * x; }
        }
        for (int k = 0; k < n1; ++k, w += KIND) {
            const float x = x1[k];
            for (int r = 0; r < KIND; ++r) { sums[r] += w[r] * x; }
        }
        for (int r = 0; r < count; ++r) { y[r] = sums[r]; }
    }
}
#endif
