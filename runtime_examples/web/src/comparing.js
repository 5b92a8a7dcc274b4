// Two models over the same text: how far apart their distributions of the next token are, and where what they write parts.

import { TIME } from './contract.js';
import { numbers } from './safetensors.js';

const MOST_SCORES = 2 ** 18; // of one call: logits go from a worker to the page

/** How many tokens a call of `follow` takes. */
export function tokensAtOnce(model) {
  return Math.max(1, Math.floor(MOST_SCORES / model.vocabulary));
}

/**
 * Read token ids on from a state.
 *
 * @param ids of one call, tokensAtOnce or fewer
 * @returns { scores, state }: Float32Array [ids, vocabulary], the logits after each id; and the state after the last
 */
export async function follow(model, ids, state) {
  const width = model.openTime && model.ids.axes.includes(TIME) ? ids.length : 1;
  const scores = new Float32Array(ids.length * model.vocabulary);
  let now = state;
  for (let at = 0; at < ids.length; at += width) {
    const made = await model.step({ [model.ids.name]: model.idTensor(ids.slice(at, at + width)) }, now);
    now = made.state;
    scores.set(numbers(made.outputs[model.scores.name]), at * model.vocabulary);
  }
  return { scores, state: now };
}

/** The Kullback-Leibler divergence of q from p in nats, Σ p·(log p - log q), of logits [vocabulary] each; 0 or more. */
export function divergence(p, q) {
  const [first, second] = [logShares(p), logShares(q)];
  return Math.max(
    0,
    first.reduce((sum, log, at) => sum + (log === -Infinity ? 0 : Math.exp(log) * (log - second[at])), 0),
  );
}

/** The place of the largest of some scores, the first one among equals. */
export function likeliest(scores) {
  return scores.reduce((best, score, at) => (score > scores[best] ? at : best), 0);
}

/** The place where two lists of ids differ first: the shorter's length where it begins the longer, null where they are equal. */
export function parting(one, other) {
  const at = one.findIndex((id, place) => id !== other[place]);
  return at >= 0 ? at : one.length === other.length ? null : one.length;
}

/** Whether two opened models (the worker's open) read and score the same tokens: { vocabulary, reads } of each. */
export function sameTokens(one, other) {
  return one.vocabulary === other.vocabulary && one.reads === other.reads;
}

function logShares(scores) {
  const values = Float64Array.from(scores);
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const total = Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
  return values.map((value) => value - largest - total);
}
