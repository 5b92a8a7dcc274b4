// Networks that take frames: a vector of numbers or a picture a step; or a picture once, at which every step looks again.

import { BATCH, TIME, ofRole } from './contract.js';
import { BundleError } from './errors.js';
import { imageTensor } from './picture.js';
import { arrayType, numbers, zeros } from './safetensors.js';
import { softmax } from './shares.js';

const PICTURE = ['height', 'width', 'channels'];
const MOST_WIDTH = 4096; // of a vector that the page gives
const GREYS = 1;
const RGB = 3;
const LUMA = [19595, 38470, 7471]; // of red, green and blue, of 65536: ITU-R BT.601

/**
 * What a model of frames takes and gives, or null where it is none.
 *
 * @returns { kind, input, width, output, labels, late }: kind 'pictures', 'vectors' or 'looks'; step's input; the numbers of a vector;
 *   the output whose last axis has labels, else the first one of floats; the labels or null; how many steps late that output is
 */
export function framesOf(model) {
  const { inputs, bundle, contract, ids } = model;
  const [input, ...others] = inputs;
  if (!input || others.length || ids || contract.step_frames !== 1) return null;
  const outputs = ofRole(bundle.step.outputs, 'output').filter(({ dtype }) => dtype === 'float32');
  const named = outputs.find(({ axes }) => bundle.manifest.labels?.[axes.at(-1)]);
  const kind = kindOf(model, input);
  const output = named ?? outputs[0];
  if (!kind || !output || (kind === 'looks' && !named)) return null;
  const labels = named ? bundle.manifest.labels[named.axes.at(-1)] : null;
  return { kind, input, width: widthOf(input, contract.sizes), output, labels, late: contract.latency_frames };
}

function kindOf({ bundle, contract: { sizes } }, input) {
  const begun = ofRole(bundle.encode?.inputs ?? [], 'input');
  const vector = input.dtype === 'float32' && widthOf(input, sizes) !== null;
  if (bundle.encode) return vector && begun.length === 1 && isPicture(begun[0], sizes) ? 'looks' : null;
  return isPicture(input, sizes) ? 'pictures' : vector ? 'vectors' : null;
}

function isPicture({ dtype, axes }, sizes) {
  const own = axes.filter((axis) => axis !== BATCH && axis !== TIME);
  return (
    dtype === 'uint8' &&
    String(own) === String(PICTURE) &&
    [GREYS, RGB].includes(sizes.channels) &&
    sizes.height > 0 &&
    sizes.width > 0
  );
}

/** How many numbers a frame has, or null where an axis of it is open. */
function widthOf({ axes }, sizes) {
  const own = axes.filter((axis) => axis !== BATCH && axis !== TIME).map((axis) => sizes[axis] ?? null);
  const width = own.reduce((a, b) => (b === null ? NaN : a * b), 1);
  return width <= MOST_WIDTH ? width : null;
}

/** A picture { data, width, height } as the tensor of an input: resized as training did it, grey where that is. */
export function pictureTensor(pixels, spec, sizes) {
  const grey = sizes.channels === GREYS;
  const { data } = imageTensor(grey ? greyOf(pixels) : pixels, spec, sizes);
  const dims = spec.axes.map((axis) => (axis === BATCH || axis === TIME ? 1 : sizes[axis]));
  return { dtype: spec.dtype, dims, data: grey ? data.filter((_, at) => at % RGB === 0) : data };
}

function greyOf({ data, width, height }) {
  const made = Uint8ClampedArray.from(data);
  for (let at = 0; at < made.length; at += 4)
    made.fill(LUMA.reduce((sum, share, channel) => sum + share * data[at + channel], 2 ** 15) >> 16, at, at + RGB);
  return { data: made, width, height };
}

/** Numbers as the tensor of an input. */
export function vectorTensor(values, { dtype, axes, name }, sizes) {
  const dims = axes.map((axis) => (axis === BATCH || axis === TIME ? 1 : sizes[axis]));
  const count = dims.reduce((a, b) => a * b, 1);
  if (values.length !== count || ![...values].every(Number.isFinite))
    throw new BundleError(`a frame of ${name} has ${values.length} numbers, expected ${count} finite ones; give that many`);
  return { dtype, dims, data: arrayType(dtype).from(values) };
}

/**
 * Step through frames.
 *
 * @param frames pictures ({ data, width, height }) or numbers (Float32Array), as the model takes them
 * @param before the state to go on from, null for the first one
 * @returns { said, state }: after the last frame the shares of the labels, else the values of the output; and the next state
 */
export async function feed(model, frames, before = null) {
  const { kind, input, output, labels } = framesOf(model);
  const { sizes } = model.contract;
  let [state, values] = [before ?? model.firstState(), []];
  for (const frame of frames) {
    const tensor = kind === 'pictures' ? pictureTensor(frame, input, sizes) : vectorTensor(frame, input, sizes);
    const made = await model.step({ [input.name]: tensor }, state);
    state = made.state;
    values = numbers(made.outputs[output.name]);
  }
  return { said: labels ? softmax(values) : values, state };
}

/** Look at a picture some times; returns [{ shares, place, state }], place [y, x] from -1 to 1, or null where the model tells none. */
export async function look(model, pixels, times) {
  const { input, output } = framesOf(model);
  const { sizes } = model.contract;
  const [image] = ofRole(model.bundle.encode.inputs, 'input');
  const begun = await model.begin({ [image.name]: pictureTensor(pixels, image, sizes) });
  const [told] = ofRole(model.bundle.step.outputs, 'output').filter(
    ({ name, axes }) => name !== output.name && sizes[axes.at(-1)] === 2,
  );
  const still = zeros(
    input.dtype,
    input.axes.map((axis) => (axis === BATCH || axis === TIME ? 1 : sizes[axis])),
  );
  const made = [];
  let { state } = begun;
  for (let at = 0; at < times; at += 1) {
    const { outputs, state: next } = await model.step({ [input.name]: still, ...begun.contexts }, state);
    state = next;
    const place = told ? [...numbers(outputs[told.name])] : null;
    made.push({ shares: softmax(numbers(outputs[output.name])), place, state });
  }
  return made;
}
