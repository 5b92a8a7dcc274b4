/* y[apart p .. apart p + 16) = bias + unit * (w q) of `count` panels p. Returns what comes behind them. */
static inline const unsigned char *panels_KIND(float *restrict y, int apart, const unsigned char *restrict w,
                                               const TYPE *restrict q, float unit, int depth, int block, int count)
{
#ifdef NET_SOME_KIND
    for (; count >= 4; count -= 4, y += 4 * apart) { w = some_KIND(y, apart, w, q, unit, depth, block, 4); }
    if (count == 3) { return some_KIND(y, apart, w, q, unit, depth, block, 3); }
    if (count == 2) { return some_KIND(y, apart, w, q, unit, depth, block, 2); }
#endif
    for (int p = 0; p < count; ++p, y += apart) { w = panel_KIND(y, w, q, unit, depth, block); }
    return w;
}
