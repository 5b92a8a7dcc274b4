#if defined(NET_SSE2) && !defined(NET_PANEL_KIND)
#define NET_PANEL_KIND
/* As the portable one: weights become 8 bits, then 16, and a sum is of two halves. */
static inline const unsigned char *panel_KIND(float *restrict y, const unsigned char *restrict w,
                                              const TYPE *restrict q, float unit, int depth, int block)
{
    const __m128i half = _mm_set1_epi8(15), eight = _mm_set1_epi8(8);
    const float *const bias = (const float *)w;
    __m128 made[4] = {_mm_setzero_ps(), _mm_setzero_ps(), _mm_setzero_ps(), _mm_setzero_ps()};
    w += 64;
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const float *const scales = (const float *)w;
        __m128i sums[8];
        for (int r = 0; r < 8; ++r) { sums[r] = _mm_setzero_si128(); }
        w += 64;
        for (int k = start; k < end; k += 8, w += 64) {
            const __m128i own = net_four(q + k, (int)sizeof *q), more = net_four(q + k + 4, (int)sizeof *q);
            for (int r = 0; r < 4; ++r) {
                const __m128i both = _mm_loadu_si128((const __m128i *)w + r);
                const __m128i low = _mm_and_si128(both, half);
                const __m128i high = _mm_and_si128(_mm_srli_epi16(both, 4), half);
                net_dot(sums + 2 * r, _mm_sub_epi8(low, eight), own);
                net_dot(sums + 2 * r, _mm_sub_epi8(high, eight), more);
            }
        }
        net_scaled(made, scales, sums);
    }
    net_finished(y, bias, unit, made);
    return w;
}
#endif
