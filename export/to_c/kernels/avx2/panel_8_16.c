#if defined(__AVX2__) && !defined(NET_PANEL_8_16)
#define NET_PANEL_8_16
#include <immintrin.h>
/* The sums of 4 rows, each of two halves, and those of the next 4 as the sums of 8 rows. */
static inline __m256i net_halves(__m256i first, __m256i second)
{
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(first, second), 0xd8);
}

/* As the portable one: weights become 16 bits, 4 rows of 4 a vector, so that 4 integers of q lie as
   they are; a sum is of two halves that are added at the end of a block. */
static inline const unsigned char *panel_8_16(float *restrict y, const unsigned char *restrict w,
                                              const int16_t *restrict q, float unit, int depth, int block)
{
    const float *const bias = (const float *)w;
    __m256 made0 = _mm256_setzero_ps(), made1 = made0;
    w += 64;
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const float *const scales = (const float *)w;
        __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
        w += 64;
        for (int k = start; k < end; k += 4, w += 64) {
            const __m128i *const rows = (const __m128i *)w;
            long long four;
            __m256i own;
            __builtin_memcpy(&four, q + k, 8);
            own = _mm256_set1_epi64x(four);
#define NET_DOT(sum, at)                                                                      \
    sum = _mm256_add_epi32(                                                                   \
        sum, _mm256_madd_epi16(own, _mm256_cvtepi8_epi16(_mm_loadu_si128(rows + (at)))))
            NET_DOT(a, 0);
            NET_DOT(b, 1);
            NET_DOT(c, 2);
            NET_DOT(d, 3);
#undef NET_DOT
        }
        a = net_halves(a, b);
        c = net_halves(c, d);
        made0 = _mm256_add_ps(made0, _mm256_mul_ps(_mm256_loadu_ps(scales), _mm256_cvtepi32_ps(a)));
        made1 = _mm256_add_ps(made1, _mm256_mul_ps(_mm256_loadu_ps(scales + 8), _mm256_cvtepi32_ps(c)));
    }
    made0 = _mm256_mul_ps(_mm256_set1_ps(unit), made0);
    made1 = _mm256_mul_ps(_mm256_set1_ps(unit), made1);
    _mm256_storeu_ps(y, _mm256_add_ps(_mm256_loadu_ps(bias), made0));
    _mm256_storeu_ps(y + 8, _mm256_add_ps(_mm256_loadu_ps(bias + 8), made1));
    return w;
}
#endif
