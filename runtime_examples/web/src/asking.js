// A question about a picture, answered word by word: the scores of the answers after the last word count.

import { BATCH, TIME } from './contract.js';
import { BundleError } from './errors.js';
import { pictureOf } from './picture.js';
import { softmax } from './shares.js';

/** The names of the answers of a model that answers questions about a picture, or null where it is none. */
export function answersOf(model) {
  const { bundle, ids, inputs, contract } = model;
  const [scores] = bundle.step.outputs;
  const names = bundle.manifest.labels?.[scores.axes.at(-1)];
  const scored = String(scores.axes.slice(0, -1)) === `${BATCH},${TIME}` && scores.dtype === 'float32';
  const read = bundle.manifest.tokenizer && ids && inputs.length === 1 && contract.step_frames === 1;
  return names && scored && read && pictureOf(model) ? names : null;
}

/**
 * Ask a model about a picture.
 *
 * @param image a tensor uint8 [1, height, width, channels] (RGB, the whole picture resized to that square)
 * @param question words
 * @returns [{ word, known, probabilities, attention }], one of each word: Float64Array [answers] after it; Float32Array
 *   [regions], row by row, or null without attention
 */
export async function ask(model, tokenizer, image, question) {
  const ids = tokenizer.encode(question);
  if (!ids.some((id) => id !== tokenizer.unknown))
    throw new BundleError(
      `the model knows no word of the question ${JSON.stringify(question)}; ask with words of its training`,
    );
  const [{ name }] = model.bundle.step.outputs;
  const { contexts, state } = await model.begin({ [pictureOf(model).name]: image });
  const words = [];
  let now = state;
  for (const id of ids) {
    const made = await model.step({ [model.ids.name]: model.idTensor([id]), ...contexts }, now);
    now = made.state;
    words.push({
      word: tokenizer.words[id],
      known: id !== tokenizer.unknown,
      probabilities: softmax(made.outputs[name].data),
      attention: model.attention ? made.outputs[model.attention.name].data : null,
    });
  }
  return words;
}
