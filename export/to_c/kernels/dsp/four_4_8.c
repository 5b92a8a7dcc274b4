#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && !defined(NET_FOUR_KIND)
#define NET_FOUR_KIND 8 /* values of a row in a line */
#define NET_HEAD_KIND 64 /* bytes before the lines */
/* What sums begin with, as each weight stands 8 too high: -8 times the sum of q[0 .. n), n a
   multiple of 8. */
static inline int32_t net_less_KIND(const TYPE *q, int n)
{
    int32_t sum = 0, a, b;
    for (const TYPE *const end = q + n; q != end; q += 4) {
        __asm("ldr %1, [%3]\n sxtb16 %2, %1, ror #8\n sxtab16 %1, %2, %1\n smlad %0, %1, %4, %0"
              : "+&r"(sum), "=&r"(a), "=&r"(b)
              : "r"(q), "r"(0x00010001)
              : "memory");
    }
    return -8 * sum;
}
#define NET_LESS_KIND net_less_KIND
/* Add a block's products of 4 rows to their sums: of a row first the values 0 and 2 of a line, then
   1 and 3, as halves of a word; then 4 and 6, 5 and 7, which lie above them. */
#define NET_ROW(W, SUM, FIRST, SECOND)                                                             \
    "and %[a], %[mask], %[" W "], lsr #" SECOND "\n"                                               \
    "and %[" W "], %[mask], %[" W "]" FIRST "\n"                                                   \
    "smlad %[" SUM "], %[" W "], %[even], %[" SUM "]\n"                                            \
    "smlad %[" SUM "], %[a], %[odd], %[" SUM "]\n"
#define NET_LINE                                                                                   \
    "ldr %[a], [%[q]], #8\n"                                                                       \
    "sxtb16 %[even], %[a]\n sxtb16 %[odd], %[a], ror #8\n"                                         \
    "ldrd %[u], %[v], [%[w]], #64\n"                                                               \
    NET_ROW("u", "s0", "", "8") NET_ROW("v", "s1", "", "8")                                        \
    "ldrd %[u], %[v], [%[w], #-56]\n"                                                              \
    NET_ROW("u", "s2", "", "8") NET_ROW("v", "s3", "", "8")                                        \
    "ldr %[a], [%[q], #-4]\n"                                                                      \
    "sxtb16 %[even], %[a]\n sxtb16 %[odd], %[a], ror #8\n"                                         \
    "ldrd %[u], %[v], [%[w], #-64]\n"                                                              \
    NET_ROW("u", "s0", ", lsr #4", "12") NET_ROW("v", "s1", ", lsr #4", "12")                      \
    "ldrd %[u], %[v], [%[w], #-56]\n"                                                              \
    NET_ROW("u", "s2", ", lsr #4", "12") NET_ROW("v", "s3", ", lsr #4", "12")
static inline void net_four_KIND(int32_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const TYPE *const end = q + NET_FOUR_KIND * lines;
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3], a, u, v, even, odd;
    __asm volatile("sub %[a], %[end], %[q]\n tst %[a], %[step]\n bne 2f\n"
                   "1:\n" NET_LINE "2:\n" NET_LINE "cmp %[q], %[end]\n bne 1b\n"
                   : [q] "+&r"(q), [w] "+&r"(w), [s0] "+&r"(s0), [s1] "+&r"(s1), [s2] "+&r"(s2),
                     [s3] "+&r"(s3), [a] "=&r"(a), [u] "=&r"(u), [v] "=&r"(v), [even] "=&r"(even),
                     [odd] "=&r"(odd)
                   : [end] "r"(end), [step] "n"(NET_FOUR_KIND * sizeof(TYPE)), [mask] "r"(0x000f000f)
                   : "cc", "memory");
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}
#undef NET_ROW
#undef NET_LINE
#endif
