#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE > 1 && !defined(NET_FOUR_KIND) && !defined(NET_PANEL_KIND)
#define NET_FOUR_KIND 4 /* values of a row in a line */
#define NET_HEAD_KIND 128 /* bytes before the lines: the sums of the integers are for other machines */
#include <arm_mve.h>
#define NET_LESS_KIND(q, n) 0
/* The sums of a block's products of 4 rows, each from `less` on. A word of each of 4 lines is 16
   values of a row; lanes of lines that are not there do nothing. In assembly, as gcc moves sums between
   registers. */
static inline int32x4_t net_four_KIND(int32_t less, const unsigned char *w, const TYPE *q, int lines)
{
    uint32x4_t at = vaddq_n_u32(vshlq_n_u32(vidupq_n_u32(0, 1), 6), (uint32_t)(uintptr_t)w);
    int32_t s0 = less, s1 = less, s2 = less, s3 = less;
    __asm volatile("dlstp.32 lr, %[n]\n"
                   "1:\n vldrb.u8 q0, [%[q]], #16\n"
                   "vldrw.u32 q1, [%q[at]]\n vldrw.u32 q2, [%q[at], #4]\n"
                   "vmladava.s8 %[s0], q1, q0\n vmladava.s8 %[s1], q2, q0\n"
                   "vldrw.u32 q1, [%q[at], #8]\n vldrw.u32 q2, [%q[at], #12]\n"
                   "vmladava.s8 %[s2], q1, q0\n vmladava.s8 %[s3], q2, q0\n"
                   "vadd.i32 %q[at], %q[at], %[step]\n letp lr, 1b\n"
                   : [s0] "+&Te"(s0), [s1] "+&Te"(s1), [s2] "+&Te"(s2), [s3] "+&Te"(s3), [at] "+&w"(at),
                     [q] "+&r"(q)
                   : [n] "r"(lines), [step] "r"(256)
                   : "lr", "q0", "q1", "q2", "memory");
    return vsetq_lane_s32(s3, vsetq_lane_s32(s2, vsetq_lane_s32(s1, vdupq_n_s32(s0), 1), 2), 3);
}
#endif
