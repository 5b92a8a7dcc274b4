#if defined(__wasm_relaxed_simd__) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 4 /* values of a row in a line */
#define NET_HEAD_KIND 128 /* bytes before the lines: scales, sums of the integers */
#include <wasm_simd128.h>
/* Sums of the products of a block: 4 products of a row by one instruction, which every machine makes
   alike of a second factor of 7 bits: q + 64. 64 times a row's integers are taken off. */
static inline void net_lines_KIND(v128_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const v128_t raised = wasm_i8x16_const_splat(64);
    const unsigned char *own = w + NET_HEAD_KIND;
    for (int r = 0; r < 4; ++r) { sums[r] = wasm_i32x4_neg(wasm_i32x4_shl(wasm_v128_load(w + 64 + 16 * r), 6)); }
    for (; lines > 0; --lines, own += 64, q += 4) {
        const v128_t x = wasm_i8x16_add(wasm_v128_load32_splat(q), raised);
        for (int r = 0; r < 4; ++r) {
            sums[r] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(wasm_v128_load(own + 16 * r), x, sums[r]);
        }
    }
}
#endif
