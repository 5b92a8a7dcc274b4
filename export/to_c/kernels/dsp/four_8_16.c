#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && !defined(NET_FOUR_KIND)
#define NET_FOUR_KIND 4 /* values of a row in a line */
#define NET_HEAD_KIND 64 /* bytes before the lines */
/* The sums of a block's products of 4 rows: of a row first the values 0 and 2 of a line, then
   1 and 3, as halves of a word. In assembly, as gcc makes two instructions of sxtb16 with ror. */
#define NET_ROW(W, SUM)                                                                            \
    "sxtb16 %[a], %[" W "], ror #8\n sxtb16 %[" W "], %[" W "]\n"                                  \
    "smlad %[" SUM "], %[" W "], %[even], %[" SUM "]\n"                                            \
    "smlad %[" SUM "], %[a], %[odd], %[" SUM "]\n"
#define NET_LINE                                                                                   \
    "ldr %[a], [%[q]], #8\n ldr %[odd], [%[q], #-4]\n"                                             \
    "pkhbt %[even], %[a], %[odd], lsl #16\n pkhtb %[odd], %[odd], %[a], asr #16\n"                 \
    "ldrd %[u], %[v], [%[w]], #64\n" NET_ROW("u", "s0") NET_ROW("v", "s1")                         \
    "ldrd %[u], %[v], [%[w], #-56]\n" NET_ROW("u", "s2") NET_ROW("v", "s3")
static inline const unsigned char *net_four_KIND(int32_t *sums, const unsigned char *w, const TYPE *q, int n)
{
    const TYPE *const end = q + (n + NET_FOUR_KIND - 1) / NET_FOUR_KIND * NET_FOUR_KIND;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, a, u, v, even, odd;
    __asm volatile("sub %[a], %[end], %[q]\n tst %[a], %[step]\n bne 2f\n"
                   "1:\n" NET_LINE "2:\n" NET_LINE "cmp %[q], %[end]\n bne 1b\n"
                   : [q] "+&r"(q), [w] "+&r"(w), [s0] "+&r"(s0), [s1] "+&r"(s1), [s2] "+&r"(s2),
                     [s3] "+&r"(s3), [a] "=&r"(a), [u] "=&r"(u), [v] "=&r"(v), [even] "=&r"(even),
                     [odd] "=&r"(odd)
                   : [end] "r"(end), [step] "n"(NET_FOUR_KIND * sizeof(TYPE))
                   : "cc", "memory");
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
    return w;
}
#undef NET_ROW
#undef NET_LINE
#endif
