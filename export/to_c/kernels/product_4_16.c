/* y[0 .. rows) = bias + unit * (w q): weights of 4 bits in panels of 16 rows, q of 16 bits. */
static void product_4_16(float *restrict y, const unsigned char *restrict w, const int16_t *restrict q,
                         float unit, int depth, int block, int rows)
{
    for (; rows > 0; rows -= 16, y += 16) {
        float made[16] = {0};
        const float *const bias = (const float *)w;
        w += 64;
        for (int start = 0; start < depth; start += block) {
            const int end = depth - start < block ? depth : start + block;
            const float *const scales = (const float *)w;
            int32_t sums[16] = {0};
            w += 64;
            for (int k = start; k < end; k += 8, w += 64) {
                for (int r = 0; r < 16; ++r) {
                    const unsigned char *const own = w + 4 * r;
                    for (int j = 0; j < 4; ++j) {
                        sums[r] += ((own[j] & 15) - 8) * q[k + j];
                        sums[r] += ((own[j] >> 4) - 8) * q[k + 4 + j];
                    }
                }
            }
            for (int r = 0; r < 16; ++r) { made[r] += scales[r] * (float)sums[r]; }
        }
        for (int r = 0; r < 16 && r < rows; ++r) { y[r] = bias[r] + unit * made[r]; }
    }
}
