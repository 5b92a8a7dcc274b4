#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 8 /* values of a row in a line */
#define NET_HEAD_KIND 64 /* bytes before the lines */
#include <arm_neon.h>
/* Sums of the products of a block: a row has 4 parts of its sum, one a byte of a line. */
static inline void net_lines_KIND(int32x4_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const int8x8_t eight = vdup_n_s8(8);
    int32x4_t made[16];
    for (int r = 0; r < 16; ++r) { made[r] = vdupq_n_s32(0); }
    for (; lines > 0; --lines, w += 64, q += 8) {
        const int16x8_t x = vld1q_s16(q);
        const int16x4_t first = vget_low_s16(x), second = vget_high_s16(x);
        const int16x8_t x0 = vcombine_s16(first, first), x1 = vcombine_s16(second, second);
        for (int r = 0; r < 16; r += 2) {
            const uint8x8_t pairs = vld1_u8(w + 4 * r);
            const int16x8_t low = vsubl_s8(vreinterpret_s8_u8(vand_u8(pairs, vdup_n_u8(15))), eight);
            const int16x8_t high = vsubl_s8(vreinterpret_s8_u8(vshr_n_u8(pairs, 4)), eight);
            made[r] = vmlal_s16(made[r], vget_low_s16(low), first);
            made[r] = vmlal_s16(made[r], vget_low_s16(high), second);
            made[r + 1] = vmlal_high_s16(made[r + 1], low, x0);
            made[r + 1] = vmlal_high_s16(made[r + 1], high, x1);
        }
    }
    for (int r = 0; r < 4; ++r) {
        const int32x4_t *const four = made + 4 * r;
        sums[r] = vpaddq_s32(vpaddq_s32(four[0], four[1]), vpaddq_s32(four[2], four[3]));
    }
}
#endif
