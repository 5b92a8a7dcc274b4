#if defined(NET_FOUR_KIND) && !defined(NET_PANEL_KIND)
#define NET_PANEL_KIND
/* y[0 .. 16) = bias + unit * (w q) of one panel, 4 rows at once. Returns what comes after the panel. */
static inline const unsigned char *panel_KIND(float *restrict y, const unsigned char *restrict w,
                                              const TYPE *restrict q, float unit, int depth, int block)
{
    const float *const bias = (const float *)w;
    w += 64;
    for (int r = 0; r < 16; ++r) { y[r] = 0.0f; }
    for (int start = 0; start < depth; start += block) {
        const int lines = ((depth - start < block ? depth - start : block) + NET_FOUR_KIND - 1) / NET_FOUR_KIND;
        const float *const scales = (const float *)w;
        const int32_t less = NET_LESS_KIND(q + start, NET_FOUR_KIND * lines);
        w += NET_HEAD_KIND;
        for (int r = 0; r < 16; r += 4) {
            int32_t sums[4];
            for (int i = 0; i < 4; ++i) { sums[i] = less; }
            net_four_KIND(sums, w + 4 * r, q + start, lines);
            for (int i = 0; i < 4; ++i) { y[r + i] += scales[r + i] * (float)sums[i]; }
        }
        w += 64 * lines;
    }
    for (int r = 0; r < 16; ++r) { y[r] = bias[r] + unit * y[r]; }
    return w;
}
#endif
