#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 4 /* values of a row in a line */
#define NET_HEAD_KIND 64 /* bytes before the lines */
#include <arm_neon.h>
/* Sums of the products of a block: a row has 4 parts of its sum, one a value of a line. */
static inline void net_lines_KIND(int32x4_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const int8_t *own = (const int8_t *)w;
    int32x4_t made[16];
    for (int r = 0; r < 16; ++r) { made[r] = vdupq_n_s32(0); }
    for (; lines > 0; --lines, own += 64, q += 4) {
        const int16x4_t four = vld1_s16(q);
        const int16x8_t x = vcombine_s16(four, four);
        for (int r = 0; r < 16; r += 2) {
            const int16x8_t two = vmovl_s8(vld1_s8(own + 4 * r));
            made[r] = vmlal_s16(made[r], vget_low_s16(two), vget_low_s16(x));
            made[r + 1] = vmlal_high_s16(made[r + 1], two, x);
        }
    }
    for (int r = 0; r < 4; ++r) {
        const int32x4_t *const four = made + 4 * r;
        sums[r] = vpaddq_s32(vpaddq_s32(four[0], four[1]), vpaddq_s32(four[2], four[3]));
    }
}
#endif
