// A bundle folder opened in onnxruntime-node. Everything but the file system and the runtime is shared with ../web/src:
// copy that folder along with this file into your app.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as ort from 'onnxruntime-node';

import { Bundle } from '../web/src/bundle.js';
import { BadInput } from '../web/src/errors.js';
import { Session } from '../web/src/session.js';

const OPTIONS = { intraOpNumThreads: 1, interOpNumThreads: 1 }; // a step is too small to be shared by threads

/** Open a bundle folder's step artifact (default: the first for ONNX) once every file is what the manifest says. */
export async function load(folder, artifact = null) {
  const bundle = await Bundle.open((path) => read(join(folder, path)), folder);
  bundle.artifact(artifact); // a wrong choice is told before anything is read
  await bundle.verifyFiles();
  return Session.load(bundle, artifact, { ort, options: OPTIONS });
}

async function read(path) {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw new BadInput(`cannot read ${path} (${error.code}), expected a readable file; check its rights`);
  }
}
