// A bundle, a folder or a .edgernn file, opened in onnxruntime-node, or without it where it has its step as a WebAssembly module.
// Everything but the file system and the runtime is shared with ../web/src: copy that folder along with this file into your app.

import { readFile, realpath, stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';

import { Bundle } from '../web/src/bundle.js';
import { BundleError } from '../web/src/errors.js';
import { Model } from '../web/src/model.js';
import { openZip } from '../web/src/zip.js';

const OPTIONS = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4 }; // a step is too small to be shared
const MOST_ZIP_BYTES = 2 ** 31;
const ABSENT = ['ENOENT', 'ENOTDIR'];

/** Open a bundle's step artifact (default: the first that runs here) once every file is what the manifest says. */
export async function load(place, artifact = null) {
  const bundle = await openBundle(place);
  bundle.artifact(artifact); // a wrong choice is told before anything is read
  await bundle.verifyFiles();
  return Model.load(bundle, artifact, { load: loadRuntime, options: OPTIONS });
}

/** Open a bundle: its manifest alone is read. Nothing is ever unpacked to the disk. */
export async function openBundle(place) {
  const found = await stat(place).catch((error) => {
    if (!ABSENT.includes(error.code)) throw unreadable(place, error);
    throw new BundleError(
      `there is no manifest.json in ${place}; expected a bundle folder or a .edgernn file; make one with: edgernn export`,
    );
  });
  const read = found.isDirectory() ? await folder(place) : openZip(await whole(place, MOST_ZIP_BYTES), place);
  return Bundle.open(read, place);
}

async function loadRuntime() {
  return import('onnxruntime-node').catch((error) => {
    throw new BundleError(
      `onnxruntime-node does not start (${error.code ?? error.message}), expected its package; run: npm ci --ignore-scripts`,
    );
  });
}

/** Return read(path, most) of a folder: null where there is no such file. */
async function folder(place) {
  const root = await realpath(place);
  return async (path, most) => {
    const file = join(place, path);
    try {
      const real = resolve(await realpath(file));
      if (!real.startsWith(root.endsWith(sep) ? root : root + sep))
        throw new BundleError(`${file} leads out of the bundle; do not use this bundle`);
      return await whole(file, most);
    } catch (error) {
      if (ABSENT.includes(error.code)) return null;
      throw error instanceof BundleError ? error : unreadable(file, error);
    }
  };
}

async function whole(file, most) {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new BundleError(`${file} is no file; copy or export the bundle again`);
    const { size } = found;
    if (size > most) throw new BundleError(`${file} has ${size} bytes, expected ${most}; copy or export the bundle again`);
    return new Uint8Array(await readFile(file));
  } catch (error) {
    throw error instanceof BundleError || ABSENT.includes(error.code) ? error : unreadable(file, error);
  }
}

function unreadable(file, error) {
  return new BundleError(`cannot read ${file} (${error.code ?? error.message}), expected a readable file; check its rights`);
}
