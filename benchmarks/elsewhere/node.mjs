// Runs files in onnxruntime-node or onnxruntime-web: node node.mjs NAME FOLDER …, with PLACE the folder of node_modules.
// What it reads, writes and tells is what _elsewhere_child.py does.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ARRAYS = { float32: Float32Array, float64: Float64Array, int64: BigInt64Array };

const tell = (what) => process.stdout.write(`\n@@ ${JSON.stringify(what)}\n`);
const sizeOf = (shape) => shape.reduce((product, each) => product * each, 1);

async function runtime(name) {
  const place = join(process.env.PLACE, 'node_modules', name);
  if (name === 'onnxruntime-node') return createRequire(join(process.env.PLACE, 'any.js'))(name);
  const dist = pathToFileURL(join(place, 'dist/')).href;
  const ort = await import(`${dist}ort.wasm.min.mjs`);
  ort.env.wasm.wasmPaths = dist;
  ort.env.wasm.numThreads = 1;
  return ort;
}

async function computed(ort, folder, file, about) {
  const options = { executionProviders: [ort.env.wasm.wasmPaths ? 'wasm' : 'cpu'], intraOpNumThreads: 1, logSeverityLevel: 4 };
  const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(join(folder, file))), options);
  const data = readFileSync(join(folder, 'feeds.bin'));
  const state = Object.fromEntries(about.states.map(({ name, dtype, shape }) => [name, new ort.Tensor(dtype, new ARRAYS[dtype](sizeOf(shape)), shape)]));
  const made = [];
  let at = 0;
  for (let call = 0; call < about.calls; call++) {
    const feeds = { ...state };
    for (const { name, dtype, shape } of about.feeds) {
      const bytes = sizeOf(shape) * ARRAYS[dtype].BYTES_PER_ELEMENT;
      const own = new Uint8Array(data.subarray(at, at + bytes)); // a copy, so that it is aligned
      feeds[name] = new ort.Tensor(dtype, new ARRAYS[dtype](own.buffer), shape);
      at += bytes;
    }
    const found = await session.run(feeds);
    for (const { name } of about.outputs) {
      const { data: value } = found[name];
      made.push(Buffer.from(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))); // a copy: the next call may write there
      if (name.endsWith('_next')) state[name.slice(0, -'_next'.length)] = found[name];
    }
  }
  return Buffer.concat(made);
}

const [name, ...folders] = process.argv.slice(2);
const ort = await runtime(name);
for (const folder of folders) {
  tell({ case: folder, event: 'begins' });
  const about = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8'));
  try {
    writeFileSync(join(folder, `${name}.bin`), await computed(ort, folder, 'model.onnx', about));
    tell({ case: folder, event: 'ran', fixed: false });
  } catch (error) {
    tell({ case: folder, event: 'refused', line: String(error.message ?? error).trim().split('\n')[0] });
  }
}
process.exit(0);
