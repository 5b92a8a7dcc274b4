// One model file in a package of npm, driven over the standard streams by child.py.
//
// A message is the length of its head, 4 bytes, little-endian; the head, JSON; and the bytes of its
// tensors one after the other. In: { bytes } with the file, then { tensors } for each step. Out:
// { node, inputs, outputs }, then { tensors } for each step; or { error }. It ends with its input.

import { createRequire } from 'node:module';

const write = process.stdout.write.bind(process.stdout);
console.log = console.info = console.debug = console.warn = console.error; // stdout is the protocol's
globalThis.fetch = undefined; // nothing is loaded from anywhere

const ARRAYS = {
  float32: Float32Array, float64: Float64Array, float16: Uint16Array, bool: Uint8Array,
  int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array,
};

async function* messages() {
  let held = Buffer.alloc(0);
  let wanted = 4;
  let head = null;
  for await (const chunk of process.stdin) {
    held = held.length ? Buffer.concat([held, chunk]) : chunk;
    while (held.length >= wanted) {
      if (head === null) {
        const size = held.readUInt32LE(0);
        if (held.length < 4 + size) break;
        head = JSON.parse(held.subarray(4, 4 + size).toString('utf8'));
        held = held.subarray(4 + size);
        wanted = head.bytes;
      } else {
        const body = held.subarray(0, wanted);
        held = held.subarray(wanted);
        const whole = { head, body };
        [head, wanted] = [null, 4];
        yield whole;
      }
    }
  }
}

function answer(head, parts = []) {
  const text = Buffer.from(JSON.stringify(head), 'utf8');
  const size = Buffer.alloc(4);
  size.writeUInt32LE(text.length);
  write(Buffer.concat([size, text, ...parts]));
}

async function open(body) {
  const [, , place, name] = process.argv;
  const require = createRequire(`${place}/any.js`);
  const ort = require(name);
  const options = { executionProviders: ['cpu'], intraOpNumThreads: 1, interOpNumThreads: 1 };
  if (name === 'onnxruntime-web') {
    ort.env.wasm.numThreads = 1;
    options.executionProviders = ['wasm'];
  }
  const session = await ort.InferenceSession.create(new Uint8Array(body), options);
  answer({ node: process.versions.node, inputs: session.inputNames, outputs: session.outputNames });
  return { ort, session };
}

async function step({ ort, session }, { tensors }, body) {
  const feeds = {};
  let from = 0;
  for (const { name, dtype, dims, bytes } of tensors) {
    // a copy: aligned to its elements, and the runtime's own
    const own = new Uint8Array(body.subarray(from, from + bytes)).buffer;
    feeds[name] = new ort.Tensor(dtype, new ARRAYS[dtype](own), dims);
    from += bytes;
  }
  const results = await session.run(feeds);
  const parts = session.outputNames.map((name) => {
    const { data } = results[name];
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  });
  const told = session.outputNames.map((name, at) => ({
    name, dtype: results[name].type, dims: results[name].dims, bytes: parts[at].length,
  }));
  answer({ tensors: told }, parts);
}

let opened = null;
for await (const { head, body } of messages()) {
  try {
    if (opened === null) opened = await open(body);
    else await step(opened, head, body);
  } catch (error) {
    answer({ error: String(error?.message ?? error) });
  }
}
process.exit(0);
