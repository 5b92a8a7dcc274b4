// A bundle as one .edgernn file: a zip, read here without a library. The digests in the manifest say whether it is whole.

import { BadInput } from './errors.js';

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;

/** Open a zip's bytes (Uint8Array); returns read(path), a promise of a file's bytes, or of null where there is none. */
export function openZip(bytes, place) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let entries;
  try {
    entries = directory(bytes, view);
  } catch {
    throw new BadInput(`${place} is no zip, expected a .edgernn file as edgernn export writes it; copy it again`);
  }
  return async (path) => (entries.has(path) ? unpack(bytes, view, entries.get(path), place) : null);
}

/** Read the table at the end: path → { method, packed, at }. */
function directory(bytes, view) {
  let end = bytes.length - END_BYTES;
  while (view.getUint32(end, true) !== END) end--; // a comment may follow; below 0 it throws
  const entries = new Map();
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error('no entry');
    const [name, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    const path = new TextDecoder().decode(bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + name));
    entries.set(path, {
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      at: view.getUint32(at + 42, true),
    });
    at += ENTRY_BYTES + name + extra + comment;
  }
  return entries;
}

async function unpack(bytes, view, { method, packed, at }, place) {
  const start = at + LOCAL_BYTES + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
  const body = bytes.subarray(start, start + packed);
  if (method === STORED) return body.slice();
  if (method !== DEFLATED)
    throw new BadInput(
      `${place} is packed with method ${method}, expected ${STORED} or ${DEFLATED}; pack it with edgernn export`,
    );
  try {
    const stream = new Blob([body]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new BadInput(`${place} is damaged: a file in it cannot be unpacked; copy it again`);
  }
}
