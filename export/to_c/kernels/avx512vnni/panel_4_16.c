#if defined(__AVX512BW__) && defined(__AVX512VNNI__) && !defined(NET_PANEL_4_16)
#define NET_PANEL_4_16
#include <immintrin.h>
/* As the portable one: the bytes of q apart, the low ones unsigned times weights 0 .. 15, these
   unsigned times the high ones; 8 times the sum of q is taken off. */
static inline const unsigned char *panel_4_16(float *restrict y, const unsigned char *restrict w,
                                              const int16_t *restrict q, float unit, int depth, int block)
{
    const __m512i zero = _mm512_setzero_si512(), half = _mm512_set1_epi8(15);
    const __m512i eights = _mm512_set1_epi8(8);
    /* of 8 integers: 4 low bytes, 4 high bytes, of the first 4 and of the others */
    const __m128i apart = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    const __m512 bias = _mm512_loadu_ps(w);
    __m512 made = _mm512_setzero_ps();
    w += 64;
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const __m512 scales = _mm512_loadu_ps(w);
        __m512i low = zero, high = zero, more_low = zero, more_high = zero;
        __m512i all_low = zero, all_high = zero;
        w += 64;
        for (int k = start; k < end; k += 8, w += 64) {
            const __m512i both = _mm512_loadu_si512(w);
            const __m512i first = _mm512_and_si512(both, half);
            const __m512i second = _mm512_and_si512(_mm512_srli_epi16(both, 4), half);
            const __m512i own = _mm512_broadcast_i32x4(
                _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(q + k)), apart));
            const __m512i q0 = _mm512_shuffle_epi32(own, 0x00), q1 = _mm512_shuffle_epi32(own, 0x55);
            const __m512i q2 = _mm512_shuffle_epi32(own, 0xaa), q3 = _mm512_shuffle_epi32(own, 0xff);
            low = _mm512_dpbusd_epi32(low, q0, first);
            high = _mm512_dpbusd_epi32(high, first, q1);
            more_low = _mm512_dpbusd_epi32(more_low, q2, second);
            more_high = _mm512_dpbusd_epi32(more_high, second, q3);
            all_low = _mm512_dpbusd_epi32(all_low, own, eights);
            all_high = _mm512_dpbusd_epi32(all_high, eights, own);
        }
        /* lanes 0, 2 of `all_low` and 1, 3 of `all_high` are sums of what they should be */
        all_low = _mm512_add_epi32(all_low, _mm512_shuffle_epi32(all_low, 0x4e));
        all_high = _mm512_add_epi32(all_high, _mm512_shuffle_epi32(all_high, 0x4e));
        low = _mm512_sub_epi32(_mm512_add_epi32(low, more_low), _mm512_shuffle_epi32(all_low, 0x00));
        high = _mm512_sub_epi32(_mm512_add_epi32(high, more_high), _mm512_shuffle_epi32(all_high, 0x55));
        low = _mm512_add_epi32(low, _mm512_slli_epi32(high, 8));
        made = _mm512_add_ps(made, _mm512_mul_ps(scales, _mm512_cvtepi32_ps(low)));
    }
    _mm512_storeu_ps(y, _mm512_add_ps(bias, _mm512_mul_ps(_mm512_set1_ps(unit), made)));
    return w;
}
#endif
