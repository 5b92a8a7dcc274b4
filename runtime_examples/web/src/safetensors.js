// The safetensors format: 8 bytes of header length (little-endian), a JSON header, the data. A tensor here is plain data,
// { dtype, dims, data }, so that it can be copied, kept, and sent to another thread or device.

import { sizeOf } from './contract.js';
import { BundleError } from './errors.js';

const DTYPES = {
  BOOL: ['bool', Uint8Array],
  I8: ['int8', Int8Array],
  I16: ['int16', Int16Array],
  I32: ['int32', Int32Array],
  I64: ['int64', BigInt64Array],
  U8: ['uint8', Uint8Array],
  F16: ['float16', Uint16Array], // its bits: not every engine has a type for them
  F32: ['float32', Float32Array],
  F64: ['float64', Float64Array],
};
const PREFIX_BYTES = 8;

/** The typed array of a contract dtype. */
export function arrayType(dtype) {
  const found = Object.values(DTYPES).find(([name]) => name === dtype);
  if (!found)
    throw new BundleError(`dtype ${dtype} is not supported here; expected ${Object.values(DTYPES).map(([name]) => name)}`);
  return found[1];
}

/** Return the values of a tensor as numbers, a Float64Array. */
export function numbers({ dtype, data }) {
  if (dtype !== 'float16' || !(data instanceof Uint16Array)) return Float64Array.from(data, Number);
  return Float64Array.from(data, (bits) => {
    const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
    const size =
      exponent === 31 ? (fraction ? NaN : Infinity) : exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    return bits >> 15 ? -size : size;
  });
}

/** Whether a tensor has a spec's dtype and, where an axis has a size, that size. */
export function fits({ dtype, axes }, tensor, sizes) {
  const same = tensor?.dtype === dtype && tensor.dims.length === axes.length;
  return same && axes.every((axis, at) => sizeOf(sizes, axis, tensor.dims[at]) === tensor.dims[at]);
}

/**
 * Say what is wrong with what a graph is given: a tensor that is missing, none, or of another dtype or other sizes than the
 * contract or the tensors before it have; null where nothing is.
 */
export function wrong(specs, given, known) {
  const sizes = { ...known };
  for (const spec of specs) {
    const { name, dtype, axes } = spec;
    const tensor = given[name];
    if (tensor === undefined) return `${name} is missing; give every input, context and state`;
    if (!ArrayBuffer.isView(tensor?.data) || !Array.isArray(tensor.dims))
      return `${name} is no tensor, expected { dtype, dims, data }; give one`;
    if (!fits(spec, tensor, sizes)) {
      const wanted = axes.map((axis) => sizeOf(sizes, axis, axis));
      return `${name} is ${tensor.dtype} [${tensor.dims}], expected ${dtype} [${wanted}]; give what the contract says`;
    }
    axes.forEach((axis, at) => (sizes[axis] = tensor.dims[at]));
  }
  return null;
}

/** Make a tensor of zeros. */
export function zeros(dtype, dims) {
  const Type = arrayType(dtype);
  return { dtype, dims, data: new Type(dims.reduce((a, b) => a * b, 1)) };
}

/** Repeat every place along an axis; a tensor without it (-1) stays as it is. */
export function repeated({ dtype, dims, data }, axis, count) {
  if (axis < 0 || count === 1) return { dtype, dims, data };
  const inner = dims.slice(axis).reduce((a, b) => a * b, 1);
  const made = new data.constructor(data.length * count);
  for (let at = 0; at < data.length; at += inner)
    for (let copy = 0; copy < count; copy++) made.set(data.subarray(at, at + inner), at * count + copy * inner);
  return { dtype, dims: dims.map((size, place) => (place === axis ? size * count : size)), data: made };
}

/** Copy a tensor with place `otherAt` of another one along `axis` in place of `at`. */
export function withRow({ dtype, dims, data }, at, other, otherAt, axis) {
  const isPlace = (place, count) => Number.isSafeInteger(place) && place >= 0 && place < count;
  const [count, others] = [dims[axis], other.dims[axis]];
  if (!isPlace(at, count) || !isPlace(otherAt, others))
    throw new BundleError(
      `row ${otherAt} of ${others} is to become row ${at} of ${count}, expected rows that there are; they count from 0`,
    );
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const made = data.slice();
  for (let outer = 0; outer * count * inner < data.length; outer++) {
    const from = (outer * others + otherAt) * inner;
    made.set(other.data.subarray(from, from + inner), (outer * count + at) * inner);
  }
  return { dtype, dims, data: made };
}

/** Read a file's bytes (Uint8Array); returns { tensors: { NAME: tensor }, metadata: { KEY: text } }. */
export function parse(bytes, origin) {
  try {
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    const header = JSON.parse(
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(PREFIX_BYTES, PREFIX_BYTES + length)),
    );
    const { __metadata__: metadata = {}, ...entries } = header;
    const tensors = Object.create(null); // a tensor may have any name
    for (const [name, entry] of Object.entries(entries)) tensors[name] = tensorOf(entry, bytes.subarray(PREFIX_BYTES + length));
    return { tensors, metadata };
  } catch (error) {
    throw new BundleError(
      `${origin} is no safetensors file (${error.message}); expected one as edgernn or this page wrote it; get it again`,
    );
  }
}

function tensorOf({ dtype, shape, data_offsets: [start, end] }, body) {
  if (!DTYPES[dtype]) throw new Error(`dtype ${dtype} is unknown`);
  const [name, Type] = DTYPES[dtype];
  if (![...shape, start, end].every((value) => Number.isSafeInteger(value) && value >= 0))
    throw new Error(`[${shape}] is no shape`);
  const count = shape.reduce((a, b) => a * b, 1);
  if (end > body.length || end - start !== count * Type.BYTES_PER_ELEMENT)
    throw new Error(`[${shape}] does not fill ${end - start} bytes`);
  return { dtype: name, dims: shape, data: new Type(body.slice(start, end).buffer) }; // a copy: typed arrays want aligned data
}

/** Write tensors and text metadata as one file; returns a Uint8Array. */
export function serialise(tensors, metadata) {
  const header = { __metadata__: metadata };
  let end = 0;
  const parts = Object.entries(tensors).map(([name, { dtype, dims, data }]) => {
    const code = Object.keys(DTYPES).find((key) => DTYPES[key][0] === dtype);
    header[name] = { dtype: code, shape: dims, data_offsets: [end, (end += data.byteLength)] };
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  });
  let text = new TextEncoder().encode(JSON.stringify(header));
  const padding = (PREFIX_BYTES - (text.length % PREFIX_BYTES)) % PREFIX_BYTES;
  text = new Uint8Array([...text, ...new Array(padding).fill(0x20)]);
  const file = new Uint8Array(PREFIX_BYTES + text.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, PREFIX_BYTES);
  let at = PREFIX_BYTES + text.length;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}
