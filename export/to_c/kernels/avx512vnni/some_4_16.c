#if defined(__AVX512BW__) && defined(__AVX512VNNI__) && !defined(NET_SOME_4_16)
#define NET_SOME_4_16
#include <immintrin.h>
/* The products of `count` panels, at most 4, which share what is loaded and summed of q; y of a panel is `apart`
   from that of the one before. */
static inline __attribute__((always_inline)) const unsigned char *
some_4_16(float *restrict y, int apart, const unsigned char *restrict w, const int16_t *restrict q, float unit,
          int depth, int block, const int count)
{
    const int rest = depth % block; /* of a panel's bytes, those of its last block */
    const int bytes = 64 + depth / block * (64 + 8 * ((block + 7) & ~7)) + (rest ? 64 + 8 * ((rest + 7) & ~7) : 0);
    const __m512i zero = _mm512_setzero_si512(), half = _mm512_set1_epi8(15), eights = _mm512_set1_epi8(8);
    /* of 8 integers: 4 low bytes, 4 high bytes, of the first 4 and of the others */
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15);
    const unsigned char *line = w + 64;
    __m512 made[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const unsigned char *const scales = line;
        __m512i low[4], high[4]; /* times the low and the high bytes of q */
        __m512i all_low = zero, all_high = zero;
        for (int p = 0; p < count; ++p) { low[p] = high[p] = zero; }
        line += 64;
        for (int k = start; k < end; k += 8, line += 64) {
            const __m512i own = _mm512_broadcast_i32x4(
                _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(q + k)), order));
            const __m512i q0 = _mm512_shuffle_epi32(own, 0x00), q1 = _mm512_shuffle_epi32(own, 0x55);
            const __m512i q2 = _mm512_shuffle_epi32(own, 0xaa), q3 = _mm512_shuffle_epi32(own, 0xff);
            for (int p = 0; p < count; ++p) {
                const __m512i both = _mm512_loadu_si512(line + p * bytes);
                const __m512i first = _mm512_and_si512(both, half);
                const __m512i second = _mm512_and_si512(_mm512_srli_epi16(both, 4), half);
                low[p] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(low[p], q0, first), q2, second);
                high[p] = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(high[p], first, q1), second, q3);
            }
            all_low = _mm512_dpbusd_epi32(all_low, own, eights);
            all_high = _mm512_dpbusd_epi32(all_high, eights, own);
        }
        /* lanes 0, 2 of `all_low` and 1, 3 of `all_high` are sums of what they should be */
        all_low = _mm512_add_epi32(all_low, _mm512_shuffle_epi32(all_low, 0x4e));
        all_high = _mm512_add_epi32(all_high, _mm512_shuffle_epi32(all_high, 0x4e));
        all_low = _mm512_add_epi32(_mm512_shuffle_epi32(all_low, 0x00),
                                   _mm512_slli_epi32(_mm512_shuffle_epi32(all_high, 0x55), 8));
        for (int p = 0; p < count; ++p) {
            low[p] = _mm512_sub_epi32(_mm512_add_epi32(low[p], _mm512_slli_epi32(high[p], 8)), all_low);
            made[p] = _mm512_add_ps(made[p], _mm512_mul_ps(_mm512_loadu_ps(scales + p * bytes),
                                                           _mm512_cvtepi32_ps(low[p])));
        }
    }
    for (int p = 0; p < count; ++p) {
        made[p] = _mm512_mul_ps(_mm512_set1_ps(unit), made[p]);
        _mm512_storeu_ps(y + p * apart, _mm512_add_ps(_mm512_loadu_ps(w + p * bytes), made[p]));
    }
    return w + count * bytes;
}
#endif
