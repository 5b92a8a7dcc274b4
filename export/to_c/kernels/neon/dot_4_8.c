#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 8 /* values of a row in a line */
#define NET_HEAD_KIND 64 /* bytes before the lines */
#include <arm_neon.h>
/* Sums of the products of a block: 4 products of a row by one instruction. Each weight stands 8 too
   high, so 8 times the sum of q is taken off. */
static inline void net_lines_KIND(int32x4_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    int32x4_t all = vdupq_n_s32(0); /* the sum of q, in each lane */
    for (int r = 0; r < 4; ++r) { sums[r] = vdupq_n_s32(0); }
    for (; lines > 0; --lines, w += 64, q += 8) {
        int32_t four[2];
        __builtin_memcpy(four, q, 8);
        const int8x16_t x0 = vreinterpretq_s8_s32(vdupq_n_s32(four[0]));
        const int8x16_t x1 = vreinterpretq_s8_s32(vdupq_n_s32(four[1]));
        all = vdotq_s32(vdotq_s32(all, vdupq_n_s8(1), x0), vdupq_n_s8(1), x1);
        for (int r = 0; r < 4; ++r) {
            const uint8x16_t pairs = vld1q_u8(w + 16 * r);
            sums[r] = vdotq_s32(sums[r], vreinterpretq_s8_u8(vandq_u8(pairs, vdupq_n_u8(15))), x0);
            sums[r] = vdotq_s32(sums[r], vreinterpretq_s8_u8(vshrq_n_u8(pairs, 4)), x1);
        }
    }
    for (int r = 0; r < 4; ++r) { sums[r] = vsubq_s32(sums[r], vshlq_n_s32(all, 3)); }
}
#endif
