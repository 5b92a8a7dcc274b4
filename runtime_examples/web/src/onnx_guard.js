// What an .onnx file may ask of the runtime, read as protocol-buffer fields before the runtime sees the file. Expected is a whole
// file of ONNX's own operators and two of onnxruntime's. Another file that holds weights, operators of somebody else's and
// functions are refused by name, in every sub-graph and attribute. The numbers are those of onnx.proto.

import { BundleError } from './errors.js';

const STANDARD = ['', 'ai.onnx'];
const OF_RUNTIME = ['com.microsoft MatMulNBits', 'com.microsoft GatherBlockQuantized'];
const MOST_DEPTH = 100; // of messages, as in the protocol-buffer library
const SPARSE = 'has a sparse constant; expected none';
const REFUSED = {
  model: {
    20: 'brings graphs for training; expected a graph to run',
    25: "brings functions of its own; expected ONNX's operators alone",
  },
  graph: { 15: SPARSE },
  attribute: { 22: SPARSE, 23: SPARSE },
}; // message → field → what the file does that it must not
const INNER = {
  model: { 7: 'graph' },
  graph: { 1: 'node', 5: 'tensor' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph' },
  tensor: {},
}; // message → field → the message in it

/** Throw BundleError where a model (Uint8Array) needs more than itself and the runtime, or is none. */
export function refuseForeign(bytes, path) {
  try {
    if (text(bytes.subarray(4, 8)) === 'ORTM') throw new Malformed("it is of the runtime's own format");
    walk('model', bytes, path, 0);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw new BundleError(`${path} is no ONNX model (${error.message}); export the bundle again`);
  }
}

class Malformed extends Error {}

function walk(kind, message, path, depth) {
  if (depth > MOST_DEPTH) throw new Malformed('a graph in a graph without end');
  const refuse = (what) => {
    throw new BundleError(`${path} ${what}; do not use this bundle`);
  };
  const found = [...fields(message)];
  const last = (number) => text(found.findLast((field) => field.number === number && field.bytes)?.bytes);
  if (kind === 'tensor' && found.some(({ number, value }) => number === 13 || (number === 14 && value)))
    refuse(`keeps the constant ${last(8)} in another file; expected all of it in this one`);
  if (kind === 'node') {
    const [operator, domain] = [last(4), last(7)];
    if (!STANDARD.includes(domain) && !OF_RUNTIME.includes(`${domain} ${operator}`))
      refuse(
        `uses the operator ${operator} of the domain ${domain}; ` +
          "expected ONNX's own, or MatMulNBits or GatherBlockQuantized of com.microsoft",
      );
  }
  for (const { number, bytes } of found) {
    if (REFUSED[kind]?.[number]) refuse(REFUSED[kind][number]);
    if (bytes && INNER[kind][number]) walk(INNER[kind][number], bytes, path, depth + 1);
  }
}

/** The first characters of a text: more is no name that is known or fit to be shown. */
function text(bytes = new Uint8Array()) {
  return String.fromCharCode(...bytes.subarray(0, 100));
}

/** Yield every field: its number, and its value or, of a text, message or packed list, its bytes. */
function* fields(message) {
  let at = 0;
  const varint = () => {
    for (let [value, scale, count] = [0, 1, 0]; count < 10; count++, scale *= 128) {
      if (at >= message.length) break;
      value += (message[at] & 127) * scale;
      if (message[at++] < 128) return value;
    }
    throw new Malformed('a number has no end');
  };
  while (at < message.length) {
    const key = varint();
    if (key >= 2 ** 32) throw new Malformed('a field has no number'); // the runtime would read another one
    const [number, wire] = [Math.floor(key / 8), key % 8];
    const field = { number, value: wire === 0 ? varint() : 0 };
    const length = { 0: () => 0, 1: () => 8, 2: varint, 5: () => 4 }[wire]?.();
    if (length === undefined) throw new Malformed(`a field has the wire type ${wire}`);
    if (at + length > message.length) throw new Malformed('a field is cut off');
    if (wire === 2) field.bytes = message.subarray(at, at + length);
    at += length;
    yield field;
  }
}
