#if defined(__wasm_relaxed_simd__) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 8 /* values of a row in a line */
#define NET_HEAD_KIND 64 /* bytes before the lines: scales */
#include <wasm_simd128.h>
/* Sums of the products of a block: 4 products of a row by one instruction, which every machine makes
   alike of a second factor of 7 bits: 0 to 15. 8 times the sum of q is taken off. */
static inline void net_lines_KIND(v128_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const v128_t low = wasm_i8x16_const_splat(15), ones = wasm_i8x16_const_splat(1);
    const unsigned char *own = w + NET_HEAD_KIND;
    v128_t total = wasm_i32x4_splat(0);
    for (int r = 0; r < 4; ++r) { sums[r] = wasm_i32x4_splat(0); }
    for (; lines > 0; --lines, own += 64, q += 8) {
        const v128_t x = wasm_v128_load32_splat(q), after = wasm_v128_load32_splat(q + 4);
        total = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(x, ones, total);
        total = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(after, ones, total);
        for (int r = 0; r < 4; ++r) {
            const v128_t both = wasm_v128_load(own + 16 * r);
            sums[r] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(x, wasm_v128_and(both, low), sums[r]);
            sums[r] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(
                after, wasm_v128_and(wasm_u16x8_shr(both, 4), low), sums[r]);
        }
    }
    for (int r = 0; r < 4; ++r) { sums[r] = wasm_i32x4_sub(sums[r], wasm_i32x4_shl(total, 3)); }
}
#endif
