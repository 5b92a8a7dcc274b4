#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 4 /* values of a row in a line */
#define NET_HEAD_KIND 128 /* bytes before the lines: the sums of the integers are for other machines */
#include <arm_neon.h>
/* Four products of each of 16 rows, with a word of x. */
#define NET_LINE(LANE)                                                                             \
    for (int r = 0; r < 4; ++r) {                                                                  \
        sums[r] = vdotq_laneq_s32(sums[r], vld1q_s8(own + 64 * LANE + 16 * r), x, LANE);           \
    }
/* Sums of the products of a block: 4 products of a row by one instruction. */
static inline void net_lines_KIND(int32x4_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const int8_t *own = (const int8_t *)w;
    for (int r = 0; r < 4; ++r) { sums[r] = vdupq_n_s32(0); }
    for (; lines >= 4; lines -= 4, own += 256, q += 16) {
        const int8x16_t x = vld1q_s8(q);
        NET_LINE(0) NET_LINE(1) NET_LINE(2) NET_LINE(3)
    }
    for (; lines > 0; --lines, own += 64, q += 4) {
        int32_t four;
        __builtin_memcpy(&four, q, 4);
        const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(four));
        NET_LINE(0)
    }
}
#undef NET_LINE
#endif
