#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VNNI__) && !defined(NET_SOME_4_8)
#define NET_SOME_4_8
#include <immintrin.h>
/* The products of `count` panels, at most 4, which share what is loaded and summed of q; y of a panel is `apart`
   from that of the one before. A panel by itself takes a third longer. */
static inline __attribute__((always_inline)) const unsigned char *
some_4_8(float *restrict y, int apart, const unsigned char *restrict w, const int8_t *restrict q, float unit,
         int depth, int block, const int count)
{
    const int rest = depth % block; /* of a panel's bytes, those of its last block */
    const int bytes = 64 + depth / block * (64 + 8 * ((block + 7) & ~7)) + (rest ? 64 + 8 * ((rest + 7) & ~7) : 0);
    const __m512i zero = _mm512_setzero_si512(), half = _mm512_set1_epi8(15);
    const unsigned char *line = w + 64;
    __m512 made[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const unsigned char *const scales = line;
        __m512i low[4], high[4]; /* of the low halves of bytes, and 16 times those of the high ones */
        __m128i all = _mm_setzero_si128();
        int k = start;
        for (; k < end; k += 16) { /* q is 0 behind its end, up to a multiple of 16 */
            all = _mm_dpbusd_epi32(all, _mm_set1_epi8(8), _mm_loadu_si128((const __m128i *)(q + k)));
        }
        all = _mm_add_epi32(all, _mm_shuffle_epi32(all, 0x4e));
        all = _mm_add_epi32(all, _mm_shuffle_epi32(all, 0xb1));
        for (int p = 0; p < count; ++p) {
            low[p] = _mm512_sub_epi32(zero, _mm512_broadcastd_epi32(all));
            high[p] = zero;
        }
        line += 64;
#define NET_LINE(at)                                                                                 \
    do {                                                                                             \
        int32_t four, more;                                                                          \
        __builtin_memcpy(&four, q + k + 8 * (at), 4);                                                \
        __builtin_memcpy(&more, q + k + 8 * (at) + 4, 4);                                            \
        for (int p = 0; p < count; ++p) {                                                            \
            const __m512i both = _mm512_loadu_si512(line + p * bytes + 64 * (at));                   \
            low[p] = _mm512_dpbusd_epi32(low[p], _mm512_and_si512(both, half),                       \
                                         _mm512_set1_epi32(four));                                   \
            high[p] = _mm512_dpbusd_epi32(high[p], _mm512_andnot_si512(half, both),                  \
                                          _mm512_set1_epi32(more));                                  \
        }                                                                                            \
    } while (0)
        k = start;
        for (; k + 32 <= end; k += 32, line += 256) {
            NET_LINE(0);
            NET_LINE(1);
            NET_LINE(2);
            NET_LINE(3);
        }
        for (; k < end; k += 8, line += 64) { NET_LINE(0); }
#undef NET_LINE
        for (int p = 0; p < count; ++p) {
            low[p] = _mm512_add_epi32(low[p], _mm512_srai_epi32(high[p], 4));
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
