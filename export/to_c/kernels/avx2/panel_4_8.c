#if defined(__AVX2__) && !defined(NET_PANEL_4_8)
#define NET_PANEL_4_8
#include <immintrin.h>
/* As the portable one: weights 0 .. 15 are the unsigned operand, and 8 times the sum of q is taken
   off. Of two products at most 2 * 15 * 127 fit 16 bits, of 8 times as many as well. */
static inline const unsigned char *panel_4_8(float *restrict y, const unsigned char *restrict w,
                                              const int8_t *restrict q, float unit, int depth, int block)
{
    const __m256i ones = _mm256_set1_epi16(1), half = _mm256_set1_epi8(15);
    const __m128i bytes = _mm_set1_epi8(1), pairs = _mm_set1_epi16(1);
    const float *const bias = (const float *)w;
    __m256 made0 = _mm256_setzero_ps(), made1 = made0;
    w += 64;
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const float *const scales = (const float *)w;
        __m256i a = _mm256_setzero_si256(), b = a;
        __m128i all = _mm_setzero_si128();
        w += 64;
        for (int k = start; k < end;) {
            const int most = end - k < 32 ? end : k + 32;
            __m256i c = _mm256_setzero_si256(), d = c;
            for (; k < most; k += 8, w += 64) {
                const __m256i w0 = _mm256_loadu_si256((const __m256i *)w);
                const __m256i w1 = _mm256_loadu_si256((const __m256i *)w + 1);
                const __m128i eight = _mm_loadl_epi64((const __m128i *)(q + k));
                int32_t four, more;
                __m256i q0, q1;
                __builtin_memcpy(&four, q + k, 4);
                __builtin_memcpy(&more, q + k + 4, 4);
                q0 = _mm256_set1_epi32(four);
                q1 = _mm256_set1_epi32(more);
                c = _mm256_add_epi16(c, _mm256_maddubs_epi16(_mm256_and_si256(w0, half), q0));
                d = _mm256_add_epi16(d, _mm256_maddubs_epi16(_mm256_and_si256(w1, half), q0));
                c = _mm256_add_epi16(
                    c, _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(w0, 4), half), q1));
                d = _mm256_add_epi16(
                    d, _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(w1, 4), half), q1));
                all = _mm_add_epi32(all, _mm_madd_epi16(pairs, _mm_maddubs_epi16(bytes, eight)));
            }
            a = _mm256_add_epi32(a, _mm256_madd_epi16(ones, c));
            b = _mm256_add_epi32(b, _mm256_madd_epi16(ones, d));
        }
        all = _mm_slli_epi32(_mm_add_epi32(all, _mm_shuffle_epi32(all, 0x55)), 3);
        a = _mm256_sub_epi32(a, _mm256_broadcastd_epi32(all));
        b = _mm256_sub_epi32(b, _mm256_broadcastd_epi32(all));
        made0 = _mm256_add_ps(made0, _mm256_mul_ps(_mm256_loadu_ps(scales), _mm256_cvtepi32_ps(a)));
        made1 = _mm256_add_ps(made1, _mm256_mul_ps(_mm256_loadu_ps(scales + 8), _mm256_cvtepi32_ps(b)));
    }
    made0 = _mm256_mul_ps(_mm256_set1_ps(unit), made0);
    made1 = _mm256_mul_ps(_mm256_set1_ps(unit), made1);
    _mm256_storeu_ps(y, _mm256_add_ps(_mm256_loadu_ps(bias), made0));
    _mm256_storeu_ps(y + 8, _mm256_add_ps(_mm256_loadu_ps(bias + 8), made1));
    return w;
}
#endif
