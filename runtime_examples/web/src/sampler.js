// From logits to one token: greedy, or temperature, top-k and nucleus sampling driven by one uniform number a token.

import { BadInput } from './errors.js';

/** Return a bundle's decoding defaults, each replaced where `given` has a value; refuse what is out of range. */
export function samplingOptions(defaults, given = {}) {
  const pick = (name, fallback) => given[name] ?? fallback;
  const options = {
    temperature: pick('temperature', defaults.temperature),
    topK: pick('topK', defaults.top_k),
    topP: pick('topP', defaults.top_p),
    suppress: defaults.suppress,
  };
  const { temperature, topK, topP } = options;
  if (!(temperature >= 0 && temperature < Infinity))
    throw new BadInput(`temperature is ${temperature}, expected 0 (greedy) or more`);
  if (!(Number.isInteger(topK) && topK >= 0))
    throw new BadInput(`top-k is ${topK}, expected 0 (all tokens) or a whole number above`);
  if (!(topP > 0 && topP <= 1)) throw new BadInput(`top-p is ${topP}, expected above 0 and at most 1`);
  return options;
}

/**
 * Choose a token.
 *
 * @param logits Float32Array [V]; ties go to the lower id
 * @param options of samplingOptions
 * @param uniform a number in [0, 1) that decides: the same numbers give the same text everywhere
 */
export function sample(logits, options, uniform) {
  const scores = Float64Array.from(logits);
  for (const id of options.suppress) scores[id] = -Infinity;
  if (options.temperature === 0) return argmax(scores);
  let order = Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || a - b);
  if (options.topK > 0) order = order.slice(0, options.topK);
  let total = 0;
  const cumulative = order.map((id) => (total += Math.exp((scores[id] - scores[order[0]]) / options.temperature)));
  let last = 1;
  let kept = cumulative.length;
  if (options.topP < 1) {
    kept = Math.min(kept, cumulative.findIndex((sum) => sum / total >= options.topP) + 1);
    last = cumulative[kept - 1] / total;
  }
  const chosen = cumulative.findIndex((sum) => sum / total / last > uniform);
  return order[chosen < 0 ? kept - 1 : Math.min(chosen, kept - 1)];
}

function argmax(scores) {
  let best = 0;
  for (let id = 1; id < scores.length; id++) if (scores[id] > scores[best]) best = id;
  return best;
}

/** The uniform number of the n-th sampled token of a seed (mulberry32, by its position: any can be had without the others). */
export function uniformAt(seed, position) {
  let bits = (Math.imul(position + 1, 0x6d2b79f5) + Math.imul(seed + 1, 0x9e3779b1)) | 0;
  bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
  return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
}
