#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 4 /* values of a row in a line */
#define NET_HEAD_KIND 128 /* bytes before the lines: the sums of the integers are for other machines */
#include <arm_neon.h>
/* Sums of the products of a block: those of two lines fit 16 bits, 2 * 128 * 127. */
static inline void net_lines_KIND(int32x4_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const int8_t *own = (const int8_t *)w;
    int32x4_t made[8]; /* of 2 rows each, two parts of their sums */
    for (int r = 0; r < 8; ++r) { made[r] = vdupq_n_s32(0); }
    for (; lines > 0; lines -= 2, own += 128, q += 8) {
        int32_t four[2] = {0, 0};
        __builtin_memcpy(four, q, 4);
        const int8x8_t x0 = vreinterpret_s8_s32(vdup_n_s32(four[0]));
        if (lines == 1) {
            for (int r = 0; r < 8; ++r) { made[r] = vpadalq_s16(made[r], vmull_s8(vld1_s8(own + 8 * r), x0)); }
            break;
        }
        __builtin_memcpy(four + 1, q + 4, 4);
        const int8x8_t x1 = vreinterpret_s8_s32(vdup_n_s32(four[1]));
        for (int r = 0; r < 8; ++r) {
            const int16x8_t first = vmull_s8(vld1_s8(own + 8 * r), x0);
            made[r] = vpadalq_s16(made[r], vmlal_s8(first, vld1_s8(own + 64 + 8 * r), x1));
        }
    }
    for (int r = 0; r < 4; ++r) { sums[r] = vpaddq_s32(made[2 * r], made[2 * r + 1]); }
}
#endif
