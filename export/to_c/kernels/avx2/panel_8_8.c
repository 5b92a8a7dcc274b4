#if defined(__AVX2__) && !defined(NET_PANEL_8_8)
#define NET_PANEL_8_8
#include <immintrin.h>
/* As the portable one: |w| is the unsigned operand, q with the sign of w the other one, so that two
   products are at most 2 * 128 * 127 and fit 16 bits. */
static inline const unsigned char *panel_8_8(float *restrict y, const unsigned char *restrict w,
                                              const int8_t *restrict q, float unit, int depth, int block)
{
    const __m256i ones = _mm256_set1_epi16(1);
    const float *const bias = (const float *)w;
    __m256 made0 = _mm256_setzero_ps(), made1 = made0;
    w += 64;
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const float *const scales = (const float *)w;
        __m256i a = _mm256_setzero_si256(), b = a;
        w += 128; /* the sums of the integers are for other machines */
        for (int k = start; k < end; k += 4, w += 64) {
            const __m256i w0 = _mm256_loadu_si256((const __m256i *)w);
            const __m256i w1 = _mm256_loadu_si256((const __m256i *)w + 1);
            int32_t four;
            __m256i own;
            __builtin_memcpy(&four, q + k, 4);
            own = _mm256_set1_epi32(four);
            a = _mm256_add_epi32(
                a, _mm256_madd_epi16(ones, _mm256_maddubs_epi16(_mm256_abs_epi8(w0),
                                                                 _mm256_sign_epi8(own, w0))));
            b = _mm256_add_epi32(
                b, _mm256_madd_epi16(ones, _mm256_maddubs_epi16(_mm256_abs_epi8(w1),
                                                                 _mm256_sign_epi8(own, w1))));
        }
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
