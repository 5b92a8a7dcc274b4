/* y[b rows ..) = bias + unit[b] * (w q[b apart ..)) for b < count, panel by panel, so that each weight is
   read from memory once. */
static void rows_KIND(float *restrict y, const unsigned char *restrict w, const TYPE *restrict q, int apart,
                      const float *restrict unit, int depth, int block, int rows, int count)
{
    for (int r = 0; r < rows; r += 16) {
        const unsigned char *behind = w;
        for (int b = 0; b < count; ++b) {
            float last[16], *const to = y + b * rows + r;
            behind = panel_KIND(rows - r < 16 ? last : to, w, q + b * apart, unit[b], depth, block);
            for (int i = 0; rows - r < 16 && i < rows - r; ++i) { to[i] = last[i]; }
        }
        w = behind;
    }
}
