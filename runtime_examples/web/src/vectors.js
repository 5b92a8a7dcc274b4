// sampler.json: random numbers and choices of tokens that were recorded with the model, against this device's own.

import { BundleError } from './errors.js';
import { readSeed, sample, uniformAt } from './sampler.js';

/**
 * Replay the vectors; returns two rows like those of the golden run: how many numbers, and how many choices, differ. Where there
 * are none, that is infinite.
 */
export async function checkSampler(bundle) {
  const path = bundle.manifest.sampler;
  if (path === null) return [];
  const bytes = await bundle.file(path);
  try {
    const { version, generator, uniforms, tokens } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (version !== 1 || generator !== 'splitmix64') throw new Error(`version ${version}, generator ${generator}`);
    const numbers = uniforms.flatMap(({ seed, position, values }) =>
      values.filter((value, index) => uniformAt(readSeed(seed), position + index) !== value),
    );
    const choices = tokens.filter((choice) => chosen(choice) !== choice.token);
    const some = uniforms.some(({ values }) => values.length > 0);
    return [row('uniforms', some ? numbers.length : Infinity), row('sampler', tokens.length ? choices.length : Infinity)];
  } catch (error) {
    throw new BundleError(`${path} holds no sampler vectors (${error.message}); export the bundle again`);
  }
}

function chosen({ logits, uniform, temperature, top_k: topK, top_p: topP, suppress }) {
  return sample(Float32Array.from(logits), { temperature, topK, topP, suppress }, uniform);
}

function row(name, differing) {
  return { name, worst: differing, tolerance: 0, ok: differing === 0 };
}
