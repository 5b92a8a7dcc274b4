#if defined(__AVX512F__) && defined(__AVX512VNNI__) && !defined(NET_PANEL_KIND)
#define NET_PANEL_KIND
#include <immintrin.h>
/* As the portable one: the dot products of bytes take unsigned activations, q + 128, and the sums
   of the weights take 128 times them off again. */
static inline const unsigned char *panel_KIND(float *restrict y, const unsigned char *restrict w,
                                              const int8_t *restrict q, float unit, int depth, int block)
{
    const __m512i zero = _mm512_setzero_si512(), sign = _mm512_set1_epi8(-128);
    const __m512 bias = _mm512_loadu_ps(w);
    __m512 made = _mm512_setzero_ps();
    w += 64;
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const __m512 scales = _mm512_loadu_ps(w);
        __m512i a = _mm512_sub_epi32(zero, _mm512_slli_epi32(_mm512_loadu_si512(w + 64), 7));
        __m512i b = zero, c = zero, d = zero;
        int k = start;
        w += 128;
#define NET_DOT(sum, at)                                                                   \
    do {                                                                                   \
        int32_t four;                                                                      \
        __builtin_memcpy(&four, q + k + 4 * (at), 4);                                      \
        sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_set1_epi32(four), sign),    \
                                  _mm512_loadu_si512(w + 64 * (at)));                      \
    } while (0)
        for (; k + 16 <= end; k += 16, w += 256) {
            NET_DOT(a, 0);
            NET_DOT(b, 1);
            NET_DOT(c, 2);
            NET_DOT(d, 3);
        }
        for (; k < end; k += 4, w += 64) { NET_DOT(a, 0); }
#undef NET_DOT
        a = _mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d));
        made = _mm512_add_ps(made, _mm512_mul_ps(scales, _mm512_cvtepi32_ps(a)));
    }
    _mm512_storeu_ps(y, _mm512_add_ps(bias, _mm512_mul_ps(_mm512_set1_ps(unit), made)));
    return w;
}
#endif
