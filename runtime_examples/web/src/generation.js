// From a prompt to a stream of tokens. A snapshot { state, pending, position, seed } says where a text stands: keep it, copy
// it (two texts from one state), save it, go on from it on another device. Tokens and text come as they would have without.

import { BATCH, TIME } from './contract.js';
import { BundleError } from './errors.js';
import { numbers } from './safetensors.js';
import { readSeed, sample, samplingOptions, uniformAt } from './sampler.js';

// A longer prompt goes in as several calls, so that memory stays bounded: tokens, and logits of 4 MB, of one call.
const PREFILL_STEPS = 256;
const MOST_LOGITS = 2 ** 20;

/**
 * Return the snapshot from which to write on after a prompt.
 *
 * @param prompt token ids; may be empty: then decoding.start is fed, or nothing when going on
 * @param after the snapshot to continue, else null
 * @param seed of the random numbers, 0 to 2^64 - 1: a number, a BigInt or text
 */
export function start(model, prompt, { after = null, seed = 0 } = {}) {
  if (after) return { ...after, pending: [...after.pending, ...prompt] };
  const pending = prompt.length ? prompt : model.bundle.manifest.decoding.start;
  return { state: model.firstState(), pending, position: 0, seed: readSeed(seed) };
}

/**
 * Throw BundleError where a model does not write: tokens in, scores of tokens out.
 */
export function requireText({ bundle, ids, scores, inputs, contract }) {
  const does = 'expected a model that reads and scores tokens; run it step by step, or check it';
  if (!bundle.manifest.tokenizer) throw new BundleError(`this bundle has no tokenizer, so it writes no text; ${does}`);
  const plain = (axes) => axes.every((axis) => axis === BATCH || axis === TIME);
  if (!ids || !plain(ids.axes) || !scores?.dtype.startsWith('float') || !plain(scores.axes.slice(0, -1)))
    throw new BundleError(`this bundle scores no tokens, so it writes no text; ${does}`);
  const [other] = inputs.filter(({ name }) => name !== ids.name);
  if (other || contract.step_frames !== 1)
    throw new BundleError(
      `step takes ${other ? `${other.name} too` : 'several tokens at once'}, so this example writes no text with it; ${does}`,
    );
}

/**
 * Write tokens: an async generator of { token, snapshot, outputs }; outputs are those of the step that gave the token.
 *
 * @param snapshot of start, or of the last token
 * @param given { temperature, topK, topP, length }, each in place of the bundle's default; contexts of encode
 */
export async function* generate(model, snapshot, given = {}, contexts = {}) {
  const { decoding } = model.bundle.manifest;
  const options = samplingOptions(decoding, given);
  const limit = Math.min(given.length ?? Infinity, decoding.length || Infinity);
  for (let count = 0; count < limit; count++) {
    const { outputs, state } = await prefill(model, snapshot.pending, snapshot.state, contexts);
    const { dtype, data } = outputs[model.scores.name];
    const logits = numbers({ dtype, data: data.slice(-model.vocabulary) }); // of the last step
    const token = sample(logits, options, uniformAt(snapshot.seed, snapshot.position));
    snapshot = { ...snapshot, state, pending: [token], position: snapshot.position + 1 };
    yield { token, snapshot, outputs };
    if (decoding.stop.includes(token)) return;
  }
}

/** Feed token ids, many a call where the artifact's time axis is open, else one by one; returns the last { outputs, state }. */
export async function prefill(model, ids, state, contexts = {}) {
  const most = Math.max(1, Math.min(PREFILL_STEPS, Math.floor(MOST_LOGITS / model.vocabulary)));
  const width = model.openTime && model.ids.axes.includes(TIME) ? most : 1;
  let made = { state };
  for (let at = 0; at < ids.length; at += width) {
    const tokens = model.idTensor(ids.slice(at, at + width));
    made = await model.step({ [model.ids.name]: tokens, ...contexts }, made.state);
  }
  return made;
}
