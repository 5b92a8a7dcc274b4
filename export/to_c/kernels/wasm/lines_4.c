#if defined(__wasm_simd128__) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 8 /* values of a row in a line */
#define NET_HEAD_KIND 64 /* bytes before the lines: scales */
#include <wasm_simd128.h>
/* Sums of the products of a block. Of each row two bytes are 16 bits, of which every fourth is taken
   at once: 2 products of a row by one instruction. 8 times the sum of q is taken off. */
static inline void net_lines_KIND(v128_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const v128_t low = wasm_i16x8_const_splat(15), ones = wasm_i16x8_const_splat(1);
    const unsigned char *own = w + NET_HEAD_KIND;
    v128_t total = wasm_i32x4_splat(0);
    for (int r = 0; r < 4; ++r) { sums[r] = wasm_i32x4_splat(0); }
    for (; lines > 0; --lines, own += 64, q += 8) {
        const v128_t x = sizeof(TYPE) == 2 ? wasm_v128_load(q) : wasm_i16x8_load8x8(q);
        const v128_t x02 = wasm_i16x8_shuffle(x, x, 0, 2, 0, 2, 0, 2, 0, 2);
        const v128_t x13 = wasm_i16x8_shuffle(x, x, 1, 3, 1, 3, 1, 3, 1, 3);
        const v128_t x46 = wasm_i16x8_shuffle(x, x, 4, 6, 4, 6, 4, 6, 4, 6);
        const v128_t x57 = wasm_i16x8_shuffle(x, x, 5, 7, 5, 7, 5, 7, 5, 7);
        total = wasm_i32x4_add(total, wasm_i32x4_dot_i16x8(x, ones));
        for (int r = 0; r < 4; ++r) {
            const v128_t both = wasm_v128_load(own + 16 * r);
            const v128_t w02 = wasm_v128_and(both, low);
            const v128_t w13 = wasm_v128_and(wasm_u16x8_shr(both, 8), low);
            const v128_t w46 = wasm_v128_and(wasm_u16x8_shr(both, 4), low);
            const v128_t w57 = wasm_u16x8_shr(both, 12);
            const v128_t one = wasm_i32x4_add(wasm_i32x4_dot_i16x8(w02, x02), wasm_i32x4_dot_i16x8(w13, x13));
            const v128_t two = wasm_i32x4_add(wasm_i32x4_dot_i16x8(w46, x46), wasm_i32x4_dot_i16x8(w57, x57));
            sums[r] = wasm_i32x4_add(sums[r], wasm_i32x4_add(one, two));
        }
    }
    total = wasm_i32x4_add(total, wasm_i32x4_shuffle(total, total, 2, 3, 0, 1));
    total = wasm_i32x4_shl(wasm_i32x4_add(total, wasm_i32x4_shuffle(total, total, 1, 0, 3, 2)), 3);
    for (int r = 0; r < 4; ++r) { sums[r] = wasm_i32x4_sub(sums[r], total); }
}
#endif
