#if defined(NET_FOUR_KIND) && !defined(NET_PANEL_KIND)
#define NET_PANEL_KIND
/* y[0 .. 16) = bias + unit * (w q) of one panel, 4 rows at once through all blocks. Returns what comes
   after the panel. */
static inline const unsigned char *panel_KIND(float *restrict y, const unsigned char *restrict w,
                                              const TYPE *restrict q, float unit, int depth, int block)
{
    const unsigned char *own = w;
    for (const unsigned char *const end = w + 64; w != end; w += 16, y += 4) {
        float made[4];
        own = w + 64;
        for (int i = 0; i < 4; ++i) { made[i] = 0.0f; }
        for (int start = 0; start < depth; start += block) {
            const float *const scales = (const float *)own;
            int32_t sums[4];
            own = net_four_KIND(sums, own + NET_HEAD_KIND, q + start, depth - start < block ? depth - start : block);
            for (int i = 0; i < 4; ++i) { made[i] += scales[i] * (float)sums[i]; }
        }
        for (int i = 0; i < 4; ++i) { y[i] = ((const float *)w)[i] + unit * made[i]; }
    }
    return own - 48;
}
#endif
