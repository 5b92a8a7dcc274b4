/* y[0 .. rows) = bias + unit * (w q), panel by panel of 16 rows. */
static void product_KIND(float *restrict y, const unsigned char *restrict w, const TYPE *restrict q, float unit,
                         int depth, int block, int rows)
{
#ifdef NET_SOME_KIND
    for (; rows >= 64; rows -= 64, y += 64) { w = some_KIND(y, 16, w, q, unit, depth, block, 4); }
#endif
    for (; rows >= 16; rows -= 16, y += 16) { w = panel_KIND(y, w, q, unit, depth, block); }
    if (rows > 0) {
        float last[16];
        panel_KIND(last, w, q, unit, depth, block);
        for (int r = 0; r < rows; ++r) { y[r] = last[r]; }
    }
}
