/* y[apart p .. apart p + 16) = bias + unit * (w q) of `count` panels p. Returns what comes behind them. */
static inline const unsigned char *panels_KIND(float *restrict y, int apart, const unsigned char *restrict w,
                                               const TYPE *restrict q, float unit, int depth, int block, int count)
{
    for (int p = 0; p < count; ++p, y += apart) { w = panel_KIND(y, w, q, unit, depth, block); }
    return w;
}
