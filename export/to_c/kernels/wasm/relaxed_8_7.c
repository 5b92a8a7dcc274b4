#if defined(__wasm_relaxed_simd__) && !defined(NET_LINES_KIND)
#define NET_LINES_KIND 4 /* values of a row in a line */
#define NET_HEAD_KIND 128 /* bytes before the lines: scales, sums of the integers */
#include <wasm_simd128.h>
/* Adds the products of 4 values of 16 rows, 4 of a row by one instruction, which every machine makes
   alike of a second factor of 7 bits. */
static inline void net_line_KIND(v128_t *sums, const unsigned char *own, v128_t x)
{
    for (int r = 0; r < 4; ++r) {
        sums[r] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(wasm_v128_load(own + 16 * r), x, sums[r]);
    }
}

/* Sums of the products of a block, with q + 64: 64 times a row's integers are taken off. Every second
   line has sums of its own, so that none waits for the one before. */
static inline void net_lines_KIND(v128_t *sums, const unsigned char *w, const TYPE *q, int lines)
{
    const v128_t raised = wasm_i8x16_const_splat(64);
    const unsigned char *own = w + NET_HEAD_KIND;
    v128_t odd[4];
    for (int r = 0; r < 4; ++r) { sums[r] = odd[r] = wasm_i32x4_splat(0); }
    for (; lines > 3; lines -= 4, own += 256, q += 16) {
        const v128_t x = wasm_i8x16_add(wasm_v128_load(q), raised);
        net_line_KIND(sums, own, wasm_i32x4_shuffle(x, x, 0, 0, 0, 0));
        net_line_KIND(odd, own + 64, wasm_i32x4_shuffle(x, x, 1, 1, 1, 1));
        net_line_KIND(sums, own + 128, wasm_i32x4_shuffle(x, x, 2, 2, 2, 2));
        net_line_KIND(odd, own + 192, wasm_i32x4_shuffle(x, x, 3, 3, 3, 3));
    }
    for (; lines > 0; --lines, own += 64, q += 4) {
        net_line_KIND(sums, own, wasm_i8x16_add(wasm_v128_load32_splat(q), raised));
    }
    for (int r = 0; r < 4; ++r) {
        const v128_t more = wasm_i32x4_shl(wasm_v128_load(w + 64 + 16 * r), 6);
        sums[r] = wasm_i32x4_sub(wasm_i32x4_add(sums[r], odd[r]), more);
    }
}
#endif
