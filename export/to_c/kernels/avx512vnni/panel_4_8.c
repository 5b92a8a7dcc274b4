#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VNNI__) && !defined(NET_PANEL_4_8)
#define NET_PANEL_4_8
#include <immintrin.h>
/* As the portable one: weights 0 .. 15 are the unsigned operand, those of the high half 16 times
   that, and 8 times the sum of q is taken off. */
static inline const unsigned char *panel_4_8(float *restrict y, const unsigned char *restrict w,
                                              const int8_t *restrict q, float unit, int depth, int block)
{
    const __m512i zero = _mm512_setzero_si512(), low = _mm512_set1_epi8(15);
    const __m128i ones = _mm_set1_epi8(1);
    const __m512 bias = _mm512_loadu_ps(w);
    __m512 made = _mm512_setzero_ps();
    w += 64;
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const __m512 scales = _mm512_loadu_ps(w);
        __m512i a = zero, b = zero, c = zero, d = zero;
        __m128i all = _mm_setzero_si128();
        int k = start;
        w += 64;
#define NET_DOT(first, second, at)                                                                 \
    do {                                                                                           \
        const __m512i both = _mm512_loadu_si512(w + 64 * (at));                                    \
        int32_t four, more;                                                                        \
        __builtin_memcpy(&four, q + k + 8 * (at), 4);                                              \
        __builtin_memcpy(&more, q + k + 8 * (at) + 4, 4);                                          \
        first = _mm512_dpbusd_epi32(first, _mm512_and_si512(both, low), _mm512_set1_epi32(four));  \
        second = _mm512_dpbusd_epi32(second, _mm512_andnot_si512(low, both),                       \
                                     _mm512_set1_epi32(more));                                     \
    } while (0)
        for (; k + 16 <= end; k += 16, w += 128) {
            all = _mm_dpbusd_epi32(all, ones, _mm_loadu_si128((const __m128i *)(q + k)));
            NET_DOT(a, b, 0);
            NET_DOT(c, d, 1);
        }
        for (; k < end; k += 8, w += 64) {
            all = _mm_dpbusd_epi32(all, ones, _mm_loadl_epi64((const __m128i *)(q + k)));
            NET_DOT(a, b, 0);
        }
#undef NET_DOT
        all = _mm_add_epi32(all, _mm_shuffle_epi32(all, 0x4e));
        all = _mm_add_epi32(all, _mm_shuffle_epi32(all, 0xb1));
        a = _mm512_add_epi32(_mm512_add_epi32(a, c), _mm512_srai_epi32(_mm512_add_epi32(b, d), 4));
        a = _mm512_sub_epi32(a, _mm512_broadcastd_epi32(_mm_slli_epi32(all, 3)));
        made = _mm512_add_ps(made, _mm512_mul_ps(scales, _mm512_cvtepi32_ps(a)));
    }
    _mm512_storeu_ps(y, _mm512_add_ps(bias, _mm512_mul_ps(_mm512_set1_ps(unit), made)));
    return w;
}
#endif
