// From a prompt to a stream of tokens. A snapshot { state, pending, position, seed } says where a text stands: keep it, copy
// it (two texts from one state), save it, go on from it on another device. Tokens and text come as they would have without.

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
export function begin(session, prompt, { after = null, seed = 0 } = {}) {
  if (after) return { ...after, pending: [...after.pending, ...prompt] };
  const start = prompt.length ? prompt : session.bundle.manifest.decoding.start;
  return { state: session.initialState(), pending: start, position: 0, seed: readSeed(seed) };
}

/**
 * Write tokens: an async generator of { token, snapshot, outputs }; outputs are those of the step that gave the token.
 *
 * @param snapshot of begin, or of the last token
 * @param given { temperature, topK, topP, length }, each in place of the bundle's default; contexts of encode
 */
export async function* generate(session, snapshot, given = {}, contexts = {}) {
  const { decoding } = session.bundle.manifest;
  const options = samplingOptions(decoding, given);
  const limit = Math.min(given.length ?? Infinity, decoding.length || Infinity);
  for (let count = 0; count < limit; count++) {
    const { outputs, state } = await prefill(session, snapshot.pending, snapshot.state, contexts);
    const logits = outputs[session.logits.name].data.slice(-session.vocabulary); // of the last step
    const token = sample(logits, options, uniformAt(snapshot.seed, snapshot.position));
    snapshot = { ...snapshot, state, pending: [token], position: snapshot.position + 1 };
    yield { token, snapshot, outputs };
    if (decoding.stop.includes(token)) return;
  }
}

/** Feed token ids, many a call where the artifact's time axis is open, else one by one; returns the last { outputs, state }. */
export async function prefill(session, ids, state, contexts = {}) {
  const most = Math.max(1, Math.min(PREFILL_STEPS, Math.floor(MOST_LOGITS / session.vocabulary)));
  const width = session.openTime ? most : 1;
  let made = { state };
  for (let at = 0; at < ids.length; at += width) {
    const tokens = session.tokenTensor(ids.slice(at, at + width));
    made = await session.step({ [session.tokens.name]: tokens, ...contexts }, made.state);
  }
  return made;
}
