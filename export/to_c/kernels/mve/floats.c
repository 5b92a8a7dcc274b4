#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE > 1 && !defined(NET_FLOATS_KIND)
#define NET_FLOATS_KIND
#include <arm_mve.h>
/* The sums and the products of n columns of 16 rows of a panel; returns the last column. */
static inline const float *net_columns_KIND(float32x4_t *sums, const float *w, const float *x, int n)
{
    for (; n > 0; --n) {
        const float own = *x++;
        w += KIND;
        for (int r = 0; r < 4; ++r) { sums[r] = vaddq_f32(sums[r], vmulq_n_f32(vldrwq_f32(w + 4 * r), own)); }
    }
    return w;
}

/* y[0 .. rows) = the bias, and the sums over x0 and x1, of panels of KIND rows: 16 at a time, whose sums
   stay in registers. */
__attribute__((noinline)) static void product_KIND(
    float *restrict y, const float *restrict w, const float *restrict x0, int n0,
    const float *restrict x1, int n1, int rows)
{
    for (int start = 0; start < rows; start += 16, w += 16) {
        float32x4_t sums[4];
        if (start > 0 && start % KIND == 0) { w += (n0 + n1) * KIND; }
        for (int r = 0; r < 4; ++r) { sums[r] = vldrwq_f32(w + 4 * r); }
        net_columns_KIND(sums, net_columns_KIND(sums, w, x0, n0), x1, n1);
        for (int r = 0; r < 4 && start + 4 * r < rows; ++r) {
            vstrwq_p_f32(y + start + 4 * r, sums[r], vctp32q((uint32_t)(rows - start - 4 * r)));
        }
    }
}
#endif
