#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 8 /* values of a row in a line */
#define NET_HEAD_KIND 64 /* bytes before the lines */
#include <arm_neon.h>
/* Sums of the products of a block: those of a line fit 16 bits, 2 * 8 * 127. */
static inline void net_lines_KIND(int32x4_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const int8x8_t eight = vdup_n_s8(8);
    int32x4_t made[8]; /* of 2 rows each, two parts of their sums */
    for (int r = 0; r < 8; ++r) { made[r] = vdupq_n_s32(0); }
    for (; lines > 0; --lines, w += 64, q += 8) {
        int32_t four[2];
        __builtin_memcpy(four, q, 8);
        const int8x8_t x0 = vreinterpret_s8_s32(vdup_n_s32(four[0]));
        const int8x8_t x1 = vreinterpret_s8_s32(vdup_n_s32(four[1]));
        for (int r = 0; r < 8; ++r) {
            const uint8x8_t pairs = vld1_u8(w + 8 * r);
            const int8x8_t low = vsub_s8(vreinterpret_s8_u8(vand_u8(pairs, vdup_n_u8(15))), eight);
            const int8x8_t high = vsub_s8(vreinterpret_s8_u8(vshr_n_u8(pairs, 4)), eight);
            made[r] = vpadalq_s16(made[r], vmlal_s8(vmull_s8(low, x0), high, x1));
        }
    }
    for (int r = 0; r < 4; ++r) { sums[r] = vpaddq_s32(made[2 * r], made[2 * r + 1]); }
}
#endif
