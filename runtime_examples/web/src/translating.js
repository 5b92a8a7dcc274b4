// A text in other words: read once in both directions, then written id by id, with where the model looked for each.

import { BATCH, sizeOf } from './contract.js';
import { BundleError } from './errors.js';
import { generate, requireText } from './generation.js';

/** The input of encode that is a text, or null where the model translates none. */
export function sourceOf(model) {
  const [input, ...others] = model.bundle.encode?.inputs ?? [];
  const isText = input?.dtype === 'int64' && input.below !== null && input.axes.length === 2 && input.axes[0] === BATCH;
  if (!isText || others.length || !model.bundle.manifest.decoding?.length) return null;
  try {
    requireText(model);
  } catch {
    return null;
  }
  return input;
}

/**
 * Translate a text: an async generator of { character, attention }, one of each id that is written, the likeliest first choice at
 * every step; attention is Float32Array [characters of the text], or null without attention.
 */
export async function* translate(model, tokenizer, text) {
  const ids = tokenizer.encode(text.trim());
  if (!ids.length) throw new BundleError('there is no text to translate; type one');
  const source = sourceOf(model);
  const axis = source.axes[1];
  const room = sizeOf(model.encoder.narrowing.axes, axis, sizeOf(model.contract.sizes, axis, ids.length));
  if (room < ids.length)
    throw new BundleError(`the text has ${ids.length} characters, expected ${room} or fewer; shorten it`);
  const data = new BigInt64Array(room); // 0 after its end
  ids.forEach((id, at) => (data[at] = BigInt(id)));
  const { contexts, state } = await model.begin({ [source.name]: { dtype: source.dtype, dims: [1, room], data } });
  const { start, stop } = model.bundle.manifest.decoding;
  const first = { state, pending: start, position: 0, seed: 0n };
  for await (const { token, outputs } of generate(model, first, { temperature: 0 }, contexts)) {
    if (stop.includes(token)) return;
    const looked = model.attention && outputs[model.attention.name].data.slice(0, ids.length);
    yield { character: tokenizer.decode([token]), attention: looked };
  }
}
