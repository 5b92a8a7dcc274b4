#if defined(__wasm_simd128__) && !defined(NET_PANEL_KIND)
#define NET_PANEL_KIND
/* y[0 .. 16) = bias + unit * (w q) of one panel. Returns what comes after the panel. */
static inline const unsigned char *panel_KIND(float *restrict y, const unsigned char *restrict w,
                                              const TYPE *restrict q, float unit, int depth, int block)
{
    const unsigned char *const bias = w;
    v128_t made[4], sums[4];
    w += 64;
    for (int r = 0; r < 4; ++r) { made[r] = wasm_f32x4_splat(0.0f); }
    for (int start = 0; start < depth; start += block) {
        const int lines = ((depth - start < block ? depth - start : block) + NET_LINES_KIND - 1) / NET_LINES_KIND;
        net_lines_KIND(sums, w, q + start, lines);
        for (int r = 0; r < 4; ++r) {
            const v128_t whole = wasm_f32x4_convert_i32x4(sums[r]);
            made[r] = wasm_f32x4_add(made[r], wasm_f32x4_mul(wasm_v128_load(w + 16 * r), whole));
        }
        w += NET_HEAD_KIND + 64 * lines;
    }
    for (int r = 0; r < 4; ++r) {
        const v128_t scaled = wasm_f32x4_mul(wasm_f32x4_splat(unit), made[r]);
        wasm_v128_store(y + 4 * r, wasm_f32x4_add(wasm_v128_load(bias + 16 * r), scaled));
    }
    return w;
}
#endif
