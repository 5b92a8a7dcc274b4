#if defined(__AVX512BW__) && defined(__AVX512VNNI__) && !defined(NET_PANEL_8_16)
#define NET_PANEL_8_16
#include <immintrin.h>
/* As the portable one: weights become 16 bits, 8 rows of 4 a vector, so that 4 integers of q lie as
   they are; a sum is of two halves that are added at the end of a block. */
static inline const unsigned char *panel_8_16(float *restrict y, const unsigned char *restrict w,
                                              const int16_t *restrict q, float unit, int depth, int block)
{
    const __m512i zero = _mm512_setzero_si512();
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const __m512 bias = _mm512_loadu_ps(w);
    __m512 made = _mm512_setzero_ps();
    w += 64;
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const __m512 scales = _mm512_loadu_ps(w);
        __m512i a = zero, b = zero, c = zero, d = zero; /* a, c: rows 0 to 7; b, d: rows 8 to 15 */
        int k = start;
        w += 64;
#define NET_DOT(low, high, at)                                                                     \
    do {                                                                                           \
        long long four;                                                                            \
        __m512i own;                                                                               \
        __builtin_memcpy(&four, q + k + 4 * (at), 8);                                              \
        own = _mm512_set1_epi64(four);                                                             \
        low = _mm512_dpwssd_epi32(                                                                 \
            low, own,                                                                              \
            _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(w + 64 * (at)))));           \
        high = _mm512_dpwssd_epi32(                                                                \
            high, own,                                                                             \
            _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(w + 64 * (at) + 32))));      \
    } while (0)
        for (; k + 8 <= end; k += 8, w += 128) {
            NET_DOT(a, b, 0);
            NET_DOT(c, d, 1);
        }
        for (; k < end; k += 4, w += 64) { NET_DOT(a, b, 0); }
#undef NET_DOT
        a = _mm512_add_epi32(a, c);
        b = _mm512_add_epi32(b, d);
        a = _mm512_add_epi32(_mm512_permutex2var_epi32(a, even, b), _mm512_permutex2var_epi32(a, odd, b));
        made = _mm512_add_ps(made, _mm512_mul_ps(scales, _mm512_cvtepi32_ps(a)));
    }
    _mm512_storeu_ps(y, _mm512_add_ps(bias, _mm512_mul_ps(_mm512_set1_ps(unit), made)));
    return w;
}
#endif
