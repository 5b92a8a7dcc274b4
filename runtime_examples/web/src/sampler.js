// From logits to one token: greedy, or temperature, top-k and nucleus sampling driven by one uniform number a token.

import { BundleError } from './errors.js';

const SEEDS = 1n << 64n; // how many seeds there are

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
    throw new BundleError(`temperature is ${temperature}, expected 0 (greedy) or more`);
  if (!(Number.isInteger(topK) && topK >= 0))
    throw new BundleError(`top-k is ${topK}, expected 0 (all tokens) or a whole number above`);
  if (!(topP > 0 && topP <= 1)) throw new BundleError(`top-p is ${topP}, expected above 0 and at most 1`);
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

/** Read a seed, 0 to 2^64 - 1, from text, a number or a BigInt; returns a BigInt. */
export function readSeed(given) {
  const text = String(given);
  const seed = /^\d{1,20}$/.test(text) ? BigInt(text) : SEEDS;
  if (seed >= SEEDS)
    throw new BundleError(`the seed is ${JSON.stringify(text)}, expected a whole number from 0 to ${SEEDS - 1n}; change it`);
  return seed;
}

/** The seed after one; after the last comes 0. */
export function nextSeed(seed) {
  return (seed + 1n) % SEEDS;
}

/** The number in [0, 1) of a seed (BigInt) that decides the token at a position: SplitMix64, as in every example. */
export function uniformAt(seed, position) {
  let bits = BigInt.asUintN(64, seed + BigInt(position + 1) * 0x9e3779b97f4a7c15n);
  bits = BigInt.asUintN(64, (bits ^ (bits >> 30n)) * 0xbf58476d1ce4e5b9n);
  bits = BigInt.asUintN(64, (bits ^ (bits >> 27n)) * 0x94d049bb133111ebn);
  return Number((bits ^ (bits >> 31n)) >> 11n) / 2 ** 53;
}
