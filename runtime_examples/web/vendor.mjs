// Copy the three files of onnxruntime-web that the page needs, so that it is served without node_modules and without a bundler.

import { copyFile, mkdir } from 'node:fs/promises';

const FILES = ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'];

await mkdir(new URL('vendor/', import.meta.url), { recursive: true });
for (const name of FILES) {
  await copyFile(
    new URL(`node_modules/onnxruntime-web/dist/${name}`, import.meta.url),
    new URL(`vendor/${name}`, import.meta.url),
  );
}
