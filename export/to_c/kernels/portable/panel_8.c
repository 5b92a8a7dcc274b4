#ifndef NET_PANEL_KIND
#define NET_PANEL_KIND
/* y[0 .. 16) = bias + unit * (w q) of one panel: weights of 8 bits. Returns what comes after the
   panel. */
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
        w += sizeof *q == 2 ? 64 : 128; /* the sums of the integers are for other machines */
        for (int r = 0; r < 16; ++r) { sums[r] = 0; }
        for (int k = start; k < end; k += 4, w += 64) {
            const int32_t q0 = q[k], q1 = q[k + 1], q2 = q[k + 2], q3 = q[k + 3];
            for (int r = 0; r < 16; ++r) {
                const signed char *const own = (const signed char *)w + 4 * r;
                sums[r] += own[0] * q0 + own[1] * q1 + own[2] * q2 + own[3] * q3;
            }
        }
        for (int r = 0; r < 16; ++r) { made[r] += scales[r] * (float)sums[r]; }
    }
    for (int r = 0; r < 16; ++r) { y[r] = bias[r] + unit * made[r]; }
    return w;
}
#endif
