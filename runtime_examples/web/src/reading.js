// Networks that say something of a text while they read it: one label of the whole text, or one of each word.

import { BATCH, TIME, ofRole } from './contract.js';
import { BundleError } from './errors.js';
import { softmax } from './shares.js';

/**
 * What a model that labels texts gives, or null where it is none.
 *
 * @returns { output, labels, late, each }: the scores; the names on their last axis; how many steps late they are; whether every
 *   token has a label of its own, else those after the last one count
 */
export function labelsOf(model) {
  const { bundle, ids, inputs, contract } = model;
  const { tokenizer, labels, family } = bundle.manifest;
  if (!tokenizer || !ids || inputs.length !== 1 || bundle.encode || contract.step_frames !== 1) return null;
  const inTime = (axes) => String(axes) === `${BATCH},${TIME}`;
  const output = ofRole(bundle.step.outputs, 'output').find(({ axes }) => labels?.[axes.at(-1)]);
  if (!output || output.dtype !== 'float32' || !inTime(ids.axes) || !inTime(output.axes.slice(0, -1))) return null;
  const late = contract.latency_frames;
  return { output, labels: labels[output.axes.at(-1)], late, each: family === 'tagger' || late > 0 };
}

/**
 * Read a text token by token: an async generator of { shares, state }, one of each step: the share of each label, of the token that
 * many steps before where the scores are late, and null before the first; and the state after the step. After the end the last token
 * is read again until its scores are there, as in training.
 *
 * @param ids of Tokenizer.encode
 */
export async function* readThrough(model, ids) {
  const { output, late } = labelsOf(model);
  if (!ids.length) throw new BundleError('the model reads nothing of this text; type another one');
  let state = model.firstState();
  for (let at = 0; at < ids.length + late; at += 1) {
    const id = ids[Math.min(at, ids.length - 1)];
    const made = await model.step({ [model.ids.name]: model.idTensor([id]) }, state);
    state = made.state;
    yield { shares: at < late ? null : softmax(made.outputs[output.name].data), state };
  }
}
