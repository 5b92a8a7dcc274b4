#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE > 1 && !defined(NET_PANEL_KIND)
#define NET_PANEL_KIND
/* y[0 .. 16) = bias + unit * (w q) of one panel, 4 rows at once. Returns what comes after the panel. */
static inline const unsigned char *panel_KIND(float *restrict y, const unsigned char *restrict w,
                                              const TYPE *restrict q, float unit, int depth, int block)
{
    const float *const bias = (const float *)w;
    float32x4_t made[4];
    w += 64;
    for (int r = 0; r < 4; ++r) { made[r] = vdupq_n_f32(0.0f); }
    for (int start = 0; start < depth; start += block) {
        const int lines = ((depth - start < block ? depth - start : block) + NET_FOUR_KIND - 1) / NET_FOUR_KIND;
        const float *const scales = (const float *)w;
        const int32_t less = NET_LESS_KIND(q + start, NET_FOUR_KIND * lines);
        w += NET_HEAD_KIND;
        for (int r = 0; r < 4; ++r) {
            const int32x4_t sums = net_four_KIND(less, w + 16 * r, q + start, lines);
            made[r] = vaddq_f32(made[r], vmulq_f32(vldrwq_f32(scales + 4 * r), vcvtq_f32_s32(sums)));
        }
        w += 64 * lines;
    }
    for (int r = 0; r < 4; ++r) {
        vstrwq_f32(y + 4 * r, vaddq_f32(vldrwq_f32(bias + 4 * r), vmulq_n_f32(made[r], unit)));
    }
    return w;
}
#endif
