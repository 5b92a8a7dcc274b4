#if defined(__AVX2__) && !defined(NET_PANEL_4_16)
#define NET_PANEL_4_16
#include <immintrin.h>
/* sum + the products of 4 of a lane's 8 weights, those in the half bytes from bit 4 * at on of its
   16-bit words, with two pairs of q. */
#define NET_DOT(sum, own, pair, at)                                                               \
    sum = _mm256_add_epi32(                                                                       \
        sum, _mm256_madd_epi16(_mm256_and_si256(_mm256_srli_epi16(own, 4 * (at)), half), pair))

/* As the portable one: weights become 16 bits, 0 .. 15, and 8 times the sum of q is taken off. */
static inline const unsigned char *panel_4_16(float *restrict y, const unsigned char *restrict w,
                                              const int16_t *restrict q, float unit, int depth, int block)
{
    const __m256i half = _mm256_set1_epi16(15), ones = _mm256_set1_epi16(1);
    /* of 8 integers: 0 2, 4 6, 1 3, 5 7, as the half bytes of a word have them */
    const __m128i order = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    const float *const bias = (const float *)w;
    __m256 made0 = _mm256_setzero_ps(), made1 = made0;
    w += 64;
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const float *const scales = (const float *)w;
        __m256i a = _mm256_setzero_si256(), b = a, all = a;
        w += 64;
        for (int k = start; k < end; k += 8, w += 64) {
            const __m256i w0 = _mm256_loadu_si256((const __m256i *)w);
            const __m256i w1 = _mm256_loadu_si256((const __m256i *)w + 1);
            const __m256i own = _mm256_broadcastsi128_si256(
                _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(q + k)), order));
            const __m256i q0 = _mm256_shuffle_epi32(own, 0x00), q1 = _mm256_shuffle_epi32(own, 0x55);
            const __m256i q2 = _mm256_shuffle_epi32(own, 0xaa), q3 = _mm256_shuffle_epi32(own, 0xff);
            NET_DOT(a, w0, q0, 0);
            NET_DOT(b, w1, q0, 0);
            NET_DOT(a, w0, q1, 1);
            NET_DOT(b, w1, q1, 1);
            NET_DOT(a, w0, q2, 2);
            NET_DOT(b, w1, q2, 2);
            NET_DOT(a, w0, q3, 3);
            NET_DOT(b, w1, q3, 3);
            all = _mm256_add_epi32(all, _mm256_madd_epi16(own, ones));
        }
        all = _mm256_add_epi32(all, _mm256_shuffle_epi32(all, 0x4e));
        all = _mm256_slli_epi32(_mm256_add_epi32(all, _mm256_shuffle_epi32(all, 0xb1)), 3);
        a = _mm256_sub_epi32(a, all);
        b = _mm256_sub_epi32(b, all);
        made0 = _mm256_add_ps(made0, _mm256_mul_ps(_mm256_loadu_ps(scales), _mm256_cvtepi32_ps(a)));
        made1 = _mm256_add_ps(made1, _mm256_mul_ps(_mm256_loadu_ps(scales + 8), _mm256_cvtepi32_ps(b)));
    }
    made0 = _mm256_mul_ps(_mm256_set1_ps(unit), made0);
    made1 = _mm256_mul_ps(_mm256_set1_ps(unit), made1);
    _mm256_storeu_ps(y, _mm256_add_ps(_mm256_loadu_ps(bias), made0));
    _mm256_storeu_ps(y + 8, _mm256_add_ps(_mm256_loadu_ps(bias + 8), made1));
    return w;
}
#undef NET_DOT
#endif
