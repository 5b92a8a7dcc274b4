#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE > 1 && !defined(NET_FOUR_KIND) && !defined(NET_PANEL_KIND)
#define NET_FOUR_KIND 8 /* values of a row in a line */
#define NET_HEAD_KIND 64 /* bytes before the lines */
#include <arm_mve.h>
/* What sums begin with, as each weight stands 8 too high: -8 times the sum of q[0 .. n). */
static inline int32_t net_less_KIND(const TYPE *q, int n)
{
    int32_t sum = 0;
    for (; n > 0; n -= 8, q += 8) { sum = vaddvaq_p_s16(sum, vldrhq_s16(q), vctp16q((uint32_t)n)); }
    return -8 * sum;
}
#define NET_LESS_KIND net_less_KIND
static const uint16_t net_places_KIND[] = {0, 2, 8, 10, 16, 18, 24, 26};
#define NET_ROW(AT, SUM)                                                                           \
    "vldrw.u32 q4, [%q[at]" AT "]\n vshl.i8 q5, q4, #4\n vshr.u8 q5, q5, #4\n vshr.u8 q4, q4, #4\n" \
    "vmovlb.s8 q6, q5\n vmladava.s16 %[" SUM "], q6, q0\n"                                         \
    "vmovlt.s8 q5, q5\n vmladava.s16 %[" SUM "], q5, q1\n"                                         \
    "vmovlb.s8 q6, q4\n vmladava.s16 %[" SUM "], q6, q2\n"                                         \
    "vmovlt.s8 q4, q4\n vmladava.s16 %[" SUM "], q4, q3\n"
/* The sums of a block's products of 4 rows, each from `less` on. A word of each of 4 lines is 32
   values of a row: of 8 each, the first 4 in the low halves of the bytes; of 4 those at even places and
   those at odd ones; lanes of lines that are not there do nothing. In assembly, as gcc moves sums
   between registers. */
static inline int32x4_t net_four_KIND(int32_t less, const unsigned char *w, const TYPE *q, int lines)
{
    uint32x4_t at = vaddq_n_u32(vshlq_n_u32(vidupq_n_u32(0, 1), 6), (uint32_t)(uintptr_t)w);
    int32_t s0 = less, s1 = less, s2 = less, s3 = less;
    __asm volatile("dlstp.32 lr, %[n]\n"
                   "1:\n vldrh.u16 q4, [%[places]]\n"
                   "vldrh.u16 q0, [%[q], q4, uxtw #1]\n adds %[q], #2\n"
                   "vldrh.u16 q1, [%[q], q4, uxtw #1]\n adds %[q], #6\n"
                   "vldrh.u16 q2, [%[q], q4, uxtw #1]\n adds %[q], #2\n"
                   "vldrh.u16 q3, [%[q], q4, uxtw #1]\n adds %[q], #54\n"
                   NET_ROW("", "s0") NET_ROW(", #4", "s1") NET_ROW(", #8", "s2") NET_ROW(", #12", "s3")
                   "vadd.i32 %q[at], %q[at], %[step]\n letp lr, 1b\n"
                   : [s0] "+&Te"(s0), [s1] "+&Te"(s1), [s2] "+&Te"(s2), [s3] "+&Te"(s3), [at] "+&w"(at),
                     [q] "+&r"(q)
                   : [n] "r"(lines), [step] "r"(256), [places] "r"(net_places_KIND)
                   : "lr", "cc", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "memory");
    return vsetq_lane_s32(s3, vsetq_lane_s32(s2, vsetq_lane_s32(s1, vdupq_n_s32(s0), 1), 2), 3);
}
#undef NET_ROW
#endif
