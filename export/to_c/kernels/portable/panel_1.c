#ifndef NET_PANEL_KIND
#define NET_PANEL_KIND
/* y[0 .. 16) = bias + unit * (w q) of one panel: weights of 1 bit, which is set where the weight is
   minus its scale. Returns what comes after the panel. */
static inline const unsigned char *panel_KIND(float *restrict y, const unsigned char *restrict w,
                                              const TYPE *restrict q, float unit, int depth, int block)
{
    const float *const bias = (const float *)w;
    float made[16]; /* no initialiser, which may be a call of memset */
    w += 64;
    for (int r = 0; r < 16; ++r) { made[r] = 0.0f; }
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const float *const scales = (const float *)w;
        int32_t sums[16];
        w += 64;
        for (int r = 0; r < 16; ++r) { sums[r] = 0; }
        for (int k = start; k < end; k += 32, w += 64) {
            const int count = end - k < 32 ? end - k : 32;
            uint32_t bits[16];
            for (int r = 0; r < 16; ++r) {
                const unsigned char *const own = w + 4 * r;
                bits[r] = (uint32_t)own[3] << 24 | (uint32_t)(own[2] << 16 | own[1] << 8 | own[0]);
            }
            for (int j = 0; j < count; ++j) {
                const int32_t x = q[k + j];
                for (int r = 0; r < 16; ++r) {
                    const int32_t minus = -(int32_t)(bits[r] >> j & 1u);
                    sums[r] += (x ^ minus) - minus;
                }
            }
        }
        for (int r = 0; r < 16; ++r) { made[r] += scales[r] * (float)sums[r]; }
    }
    for (int r = 0; r < 16; ++r) { y[r] = bias[r] + unit * made[r]; }
    return w;
}
#endif
