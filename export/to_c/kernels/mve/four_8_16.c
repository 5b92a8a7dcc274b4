#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE > 1 && !defined(NET_FOUR_KIND) && !defined(NET_PANEL_KIND)
#define NET_FOUR_KIND 4 /* values of a row in a line */
#define NET_HEAD_KIND 64 /* bytes before the lines */
#include <arm_mve.h>
#define NET_LESS_KIND(q, n) 0
#define NET_ROW(AT, SUM)                                                                           \
    "vldrw.u32 q2, [%q[here]" AT "]\n vmovlb.s8 q3, q2\n vmovlt.s8 q2, q2\n"                       \
    "vmladava.s16 %[" SUM "], q3, q0\n vmladava.s16 %[" SUM "], q2, q1\n"
/* The sums of a block's products of 4 rows, each from `less` on. A word of each of 4 lines is 16
   values of a row: those at even places, and those at odd ones. Behind the last line q is 0, and that
   line is read again. In assembly, as gcc moves sums between registers. */
static inline int32x4_t net_four_KIND(int32_t less, const unsigned char *w, const TYPE *q, int lines)
{
    uint32x4_t at = vaddq_n_u32(vshlq_n_u32(vidupq_n_u32(0, 1), 6), (uint32_t)(uintptr_t)w);
    int32_t s0 = less, s1 = less, s2 = less, s3 = less;
    const uint32x4_t last = vdupq_n_u32((uint32_t)(uintptr_t)w + 64 * (uint32_t)(lines - 1));
    uint32x4_t here;
    __asm volatile("dls lr, %[n]\n"
                   "1:\n vld20.16 {q0, q1}, [%[q]]\n vld21.16 {q0, q1}, [%[q]]!\n"
                   "vmin.u32 %q[here], %q[at], %q[last]\n vadd.i32 %q[at], %q[at], %[step]\n"
                   NET_ROW("", "s0") NET_ROW(", #4", "s1") NET_ROW(", #8", "s2") NET_ROW(", #12", "s3")
                   "le lr, 1b\n"
                   : [s0] "+&Te"(s0), [s1] "+&Te"(s1), [s2] "+&Te"(s2), [s3] "+&Te"(s3), [at] "+&w"(at),
                     [q] "+&r"(q), [here] "=&w"(here)
                   : [n] "r"((lines + 3) / 4), [step] "r"(256), [last] "w"(last)
                   : "lr", "q0", "q1", "q2", "q3", "memory");
    return vsetq_lane_s32(s3, vsetq_lane_s32(s2, vsetq_lane_s32(s1, vdupq_n_s32(s0), 1), 2), 3);
}
#undef NET_ROW
#endif
