#if defined(__SSE2__) && !defined(__AVX2__) && !defined(NET_SSE2)
#define NET_SSE2
#include <emmintrin.h>
/* 4 integers as 16 bits each, twice. */
static inline __m128i net_four(const void *q, int bytes)
{
    long long wide;
    int32_t narrow;
    __m128i made;
    if (bytes == 2) {
        __builtin_memcpy(&wide, q, 8);
        return _mm_set1_epi64x(wide);
    }
    __builtin_memcpy(&narrow, q, 4);
    made = _mm_cvtsi32_si128(narrow);
    made = _mm_srai_epi16(_mm_unpacklo_epi8(made, made), 8);
    return _mm_unpacklo_epi64(made, made);
}

/* Add to the sums of 4 rows, each of two halves, 4 products of each row. */
static inline void net_dot(__m128i *sums, __m128i bytes, __m128i own)
{
    const __m128i low = _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
    const __m128i high = _mm_srai_epi16(_mm_unpackhi_epi8(bytes, bytes), 8);
    sums[0] = _mm_add_epi32(sums[0], _mm_madd_epi16(low, own));
    sums[1] = _mm_add_epi32(sums[1], _mm_madd_epi16(high, own));
}

/* made[0 .. 4) += scales * sums, the halves of the 16 sums put together first. */
static inline void net_scaled(__m128 *made, const float *scales, const __m128i *sums)
{
    for (int r = 0; r < 4; ++r) {
        const __m128 a = _mm_castsi128_ps(sums[2 * r]), b = _mm_castsi128_ps(sums[2 * r + 1]);
        const __m128i even = _mm_castps_si128(_mm_shuffle_ps(a, b, 0x88));
        const __m128i odd = _mm_castps_si128(_mm_shuffle_ps(a, b, 0xdd));
        const __m128 whole = _mm_cvtepi32_ps(_mm_add_epi32(even, odd));
        made[r] = _mm_add_ps(made[r], _mm_mul_ps(_mm_loadu_ps(scales + 4 * r), whole));
    }
}

/* y[0 .. 16) = bias + unit * made. */
static inline void net_finished(float *y, const float *bias, float unit, const __m128 *made)
{
    for (int r = 0; r < 4; ++r) {
        const __m128 own = _mm_mul_ps(_mm_set1_ps(unit), made[r]);
        _mm_storeu_ps(y + 4 * r, _mm_add_ps(_mm_loadu_ps(bias + 4 * r), own));
    }
}
#endif
