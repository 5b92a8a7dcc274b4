// From a picture to a caption, with where the model looked for each word.

import { generate } from './generation.js';
import { pictureOf } from './picture.js';
import { readSeed } from './sampler.js';

/**
 * Caption a picture.
 *
 * @param image a tensor uint8 [1, height, width, channels] (RGB, the whole picture resized to that square)
 * @returns [{ word, token, attention }]: attention Float32Array [regions], row by row, or null without attention
 */
export async function caption(model, tokenizer, image, given = {}) {
  const { contexts, state } = await model.begin({ [pictureOf(model).name]: image });
  const { start, stop } = model.bundle.manifest.decoding;
  const first = { state, pending: start, position: 0, seed: readSeed(given.seed ?? 0) };
  const words = [];
  for await (const { token, outputs } of generate(model, first, given, contexts)) {
    if (stop.includes(token)) break;
    words.push({
      word: tokenizer.decode([token]),
      token,
      attention: model.attention ? outputs[model.attention.name].data : null,
    });
  }
  return words;
}
