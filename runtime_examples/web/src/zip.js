// A bundle as one .edgernn file: a zip, read here without a library. The digests in the manifest say whether it is whole.

import { BundleError } from './errors.js';

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const MOST_COMMENT_BYTES = 65535; // after the table
const STORED = 0;
const DEFLATED = 8;

/**
 * Open a zip's bytes (Uint8Array); returns read(path, most), a promise of a file's bytes, or of null where there is none.
 * Nothing larger than `most` is unpacked.
 */
export function openZip(bytes, place) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let entries;
  try {
    entries = directory(bytes, view);
  } catch {
    throw new BundleError(`${place} is no zip, expected a .edgernn file as edgernn export writes it; copy it again`);
  }
  if (!entries) throw new BundleError(`${place} holds a file twice, expected each once; do not use this bundle`);
  return async (path, most) => (entries.has(path) ? unpack(bytes, view, entries.get(path), { place, path, most }) : null);
}

/** Read the table at the end: path → { method, packed, size, at }; null where a path comes twice. */
function directory(bytes, view) {
  let end = bytes.length - END_BYTES;
  const first = Math.max(0, end - MOST_COMMENT_BYTES);
  while (view.getUint32(end, true) !== END) if (--end < first) throw new Error('no table');
  const entries = new Map();
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error('no entry');
    const [name, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const path = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + name));
    if (entries.has(path)) return null;
    entries.set(path, {
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      at: view.getUint32(at + 42, true),
    });
    at += ENTRY_BYTES + name + extra + comment;
  }
  return entries;
}

async function unpack(bytes, view, { method, packed, size, at }, { place, path, most }) {
  const damaged = () => new BundleError(`${path} in ${place} is damaged: it cannot be unpacked; copy or export the bundle again`);
  if (size > most)
    throw new BundleError(`${path} in ${place} has ${size} bytes, expected ${most}; copy or export the bundle again`);
  if (at + LOCAL_BYTES > bytes.length || view.getUint32(at, true) !== LOCAL) throw damaged();
  const start = at + LOCAL_BYTES + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
  const body = bytes.subarray(start, start + packed);
  if (method === STORED) return body.slice(0, most + 1);
  if (method !== DEFLATED)
    throw new BundleError(
      `${path} in ${place} is packed with method ${method}, expected ${STORED} or ${DEFLATED}; pack it with edgernn export`,
    );
  try {
    return await inflated(body, most);
  } catch {
    throw damaged();
  }
}

/** Inflate, and stop once there is more than `most`. */
async function inflated(body, most) {
  const parts = [];
  let length = 0;
  const reader = new Blob([body]).stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
  while (length <= most) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  if (length > most) await reader.cancel();
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
