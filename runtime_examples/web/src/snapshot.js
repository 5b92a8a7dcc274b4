// A snapshot as a file: safetensors with the states, the pending tokens, and as metadata the model, the place and the text.

import { BundleError } from './errors.js';
import { parse, serialise } from './safetensors.js';
import { readSeed } from './sampler.js';

const PENDING = 'pending_tokens'; // int64 [N], beside the states under their contract names
const KEYS = { model: 'edgernn.golden_sha256', position: 'edgernn.position', seed: 'edgernn.seed', text: 'edgernn.text' };

/** Return the file (Uint8Array) of a snapshot and of the text written so far. */
export function toFile(model, snapshot, text) {
  const pending = { dtype: 'int64', dims: [snapshot.pending.length], data: BigInt64Array.from(snapshot.pending, BigInt) };
  const metadata = {
    [KEYS.model]: digestOf(model),
    [KEYS.position]: String(snapshot.position),
    [KEYS.seed]: String(snapshot.seed),
    [KEYS.text]: text,
  };
  return serialise({ ...snapshot.state, [PENDING]: pending }, metadata);
}

/** Read such a file; returns { snapshot, text }. It must be of this model; which of its artifacts wrote it is no matter. */
export function fromFile(model, bytes) {
  const { tensors, metadata } = parse(bytes, 'the saved state');
  if (metadata[KEYS.model] !== digestOf(model))
    throw new BundleError('the saved state is of another model, expected one of this bundle; open the bundle that wrote it');
  const { [PENDING]: pending, ...state } = tensors;
  const wanted = model.firstState();
  const wrong = Object.keys(wanted).find(
    (name) => String(state[name]?.dims) !== String(wanted[name].dims) || state[name].dtype !== wanted[name].dtype,
  );
  const position = Number(metadata[KEYS.position]);
  if (wrong || pending?.dtype !== 'int64' || !(Number.isSafeInteger(position) && position >= 0)) {
    throw new BundleError(
      `the saved state is damaged in ${wrong ?? 'its place'}; expected every state of the contract; save it again`,
    );
  }
  const snapshot = { state, pending: Array.from(pending.data, Number), position, seed: readSeed(metadata[KEYS.seed]) };
  return { snapshot, text: metadata[KEYS.text] ?? '' };
}

/** The digest of the recorded run names the weights: all artifacts of a bundle share it, no other model has it. */
function digestOf({ bundle }) {
  return bundle.manifest.files[bundle.manifest.golden].sha256;
}
