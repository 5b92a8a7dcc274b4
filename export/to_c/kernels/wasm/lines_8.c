#if defined(__wasm_simd128__) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 4 /* values of a row in a line */
#define NET_HEAD_KIND (sizeof(TYPE) == 1 ? 128 : 64) /* bytes before the lines: scales, sums of the integers */
#include <wasm_simd128.h>
/* Sums of the products of a block: 2 products of a row by one instruction. */
static inline void net_lines_KIND(v128_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const unsigned char *own = w + NET_HEAD_KIND;
    v128_t pairs[8];
    for (int r = 0; r < 8; ++r) { pairs[r] = wasm_i32x4_splat(0); }
    for (; lines > 0; --lines, own += 64, q += 4) {
        const v128_t x = sizeof(TYPE) == 2 ? wasm_v128_load64_splat(q)
                                           : wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(q));
        for (int r = 0; r < 8; ++r) {
            pairs[r] = wasm_i32x4_add(pairs[r], wasm_i32x4_dot_i16x8(wasm_i16x8_load8x8(own + 8 * r), x));
        }
    }
    for (int r = 0; r < 4; ++r) {
        sums[r] = wasm_i32x4_add(wasm_i32x4_shuffle(pairs[2 * r], pairs[2 * r + 1], 0, 2, 4, 6),
                                 wasm_i32x4_shuffle(pairs[2 * r], pairs[2 * r + 1], 1, 3, 5, 7));
    }
}
#endif
