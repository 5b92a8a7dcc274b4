// Where a bundle's files are read from: an address, a folder of this device, or a .edgernn file of either. What is read is
// compared with the manifest by src/bundle.js; here no more is loaded than is allowed, and a refusal is told in one line.

import { BundleError } from './src/errors.js';
import { openZip } from './src/zip.js';

const MEGABYTE = 1e6;
const MOST_MEGABYTES = 512; // of one file from an address: the page says so, too
const PACKED = /\.(edgernn|zip)$/i;

/** Return what reads the files of { url }, { files: path → File } or { zip: File }: read(path, most), as Bundle.open takes it. */
export async function readerOf({ url, files, zip }, place) {
  if (zip) return openZip(new Uint8Array(await zip.arrayBuffer()), place);
  if (files) return (path, most) => fromFiles(files, { path, place, most });
  const at = new URL(url);
  if (!PACKED.test(at.pathname)) return (path, most) => load(new URL(path, at), { path, place, most });
  const bytes = await load(at, { path: place, place: at.host, most: MOST_MEGABYTES * MEGABYTE });
  if (!bytes) throw new BundleError(`there is no file at ${at.href}: the server answered 404; correct the address`);
  return openZip(bytes, place);
}

async function fromFiles(files, { path, place, most }) {
  const file = files.get(path);
  if (!file) return null;
  if (file.size > most) throw tooLarge({ path, place, most }, file.size);
  return new Uint8Array(await file.arrayBuffer());
}

/** Load a file of at most `most` bytes; null where the server has none. */
async function load(url, { path, place, most }) {
  const allowed = { path, place, most: Math.min(most, MOST_MEGABYTES * MEGABYTE) };
  let response;
  try {
    response = await fetch(url, { credentials: 'same-origin', referrerPolicy: 'no-referrer' });
  } catch {
    throw unreachable(url, allowed);
  }
  if (response.status === 404 || response.status === 410) return null;
  if (!response.ok)
    throw new BundleError(`${path} of ${place} could not be loaded: the server answered ${response.status}; correct the address`);
  const said = response.headers.get('Content-Encoding') ? 0 : Number(response.headers.get('Content-Length') ?? 0);
  if (said > allowed.most) throw tooLarge(allowed, said);
  try {
    return await gathered(response.body, allowed);
  } catch (error) {
    throw error instanceof BundleError ? error : unreachable(url, allowed);
  }
}

/** Read a stream, and stop once there is more than is allowed. */
async function gathered(stream, allowed) {
  const [parts, reader] = [[], stream.getReader()];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    if (length <= allowed.most) continue;
    await reader.cancel();
    throw tooLarge(allowed, length);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function tooLarge({ path, place, most }, size) {
  return new BundleError(`${path} of ${place} has ${size} bytes or more, expected ${most}; copy or export the bundle again`);
}

function unreachable(url, { path, place }) {
  if (url.origin === self.location.origin)
    return new BundleError(
      `${path} of ${place} could not be loaded: there is no network and no copy on this device; connect and try again`,
    );
  return new BundleError(
    `${path} of ${place} could not be loaded: there is no network, or ${url.host} does not let other sites read it ` +
      `(no Access-Control-Allow-Origin); load the bundle to this device and open it from there`,
  );
}
