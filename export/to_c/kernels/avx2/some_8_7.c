#if defined(__AVX2__) && !defined(__AVX512VNNI__) && !defined(NET_SOME_8_7)
#define NET_SOME_8_7
#include <immintrin.h>
/* The products of `count` panels, at most 4, which share what is loaded of q; y of a panel is `apart` from that of
   the one before. Half a panel is a vector, so each has two sums. */
static inline __attribute__((always_inline)) const unsigned char *
some_8_7(float *restrict y, int apart, const unsigned char *restrict w, const int8_t *restrict q, float unit,
         int depth, int block, const int count)
{
    const int rest = depth % block; /* of a panel's bytes, those of its last block */
    const int last = rest ? 128 + 16 * ((rest + 3) & ~3) : 0;
    const int bytes = 64 + depth / block * (128 + 16 * ((block + 3) & ~3)) + last;
    const __m256i zero = _mm256_setzero_si256(), ones = _mm256_set1_epi16(1);
    const unsigned char *line = w + 64;
    __m256 made[8];
#define NET_HALF(of, h) (const void *)((of) + (h) / 2 * bytes + (h) % 2 * 32)
    for (int h = 0; h < 2 * count; ++h) { made[h] = _mm256_setzero_ps(); }
    for (int start = 0; start < depth; start += block) {
        const int end = depth - start < block ? depth : start + block;
        const unsigned char *const scales = line;
        __m256i sums[8];
        for (int h = 0; h < 2 * count; ++h) {
            const __m256i all = _mm256_loadu_si256(NET_HALF(line + 64, h));
            sums[h] = _mm256_sub_epi32(zero, _mm256_slli_epi32(all, 6));
        }
        line += 128;
        for (int k = start; k < end; k += 4, line += 64) {
            int32_t four;
            __m256i own;
            __builtin_memcpy(&four, q + k, 4);
            own = _mm256_add_epi8(_mm256_set1_epi32(four), _mm256_set1_epi8(64));
            /* measured where weights come from a cache that cores share: a tenth of the time */
            for (int p = 0; p < count; ++p) { _mm_prefetch((const char *)line + p * bytes + 1024, _MM_HINT_T0); }
            for (int h = 0; h < 2 * count; ++h) {
                const __m256i pairs = _mm256_maddubs_epi16(own, _mm256_loadu_si256(NET_HALF(line, h)));
                sums[h] = _mm256_add_epi32(sums[h], _mm256_madd_epi16(ones, pairs));
            }
        }
        for (int h = 0; h < 2 * count; ++h) {
            made[h] = _mm256_add_ps(made[h], _mm256_mul_ps(_mm256_loadu_ps(NET_HALF(scales, h)),
                                                           _mm256_cvtepi32_ps(sums[h])));
        }
    }
    for (int h = 0; h < 2 * count; ++h) {
        made[h] = _mm256_mul_ps(_mm256_set1_ps(unit), made[h]);
        made[h] = _mm256_add_ps(_mm256_loadu_ps(NET_HALF(w, h)), made[h]);
        _mm256_storeu_ps(y + h / 2 * apart + h % 2 * 8, made[h]);
    }
#undef NET_HALF
    return w + count * bytes;
}
#endif
