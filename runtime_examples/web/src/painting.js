// A picture of a label, painted step by step from noise that a seed decides.

import { BATCH, TIME, ofRole } from './contract.js';
import { uniformAt } from './sampler.js';

const PICTURE = [BATCH, TIME, 'height', 'width'];

/** What a painter paints by label and from how much noise a step: { labels, label, noise, picture }; null where it is none. */
export function painterOf(model) {
  const { bundle, inputs, contract } = model;
  const [label, ...more] = ofRole(bundle.encode?.inputs ?? [], 'input');
  const picture = ofRole(bundle.step.outputs, 'output').find(({ axes }) => String(axes) === String(PICTURE));
  const labels = bundle.manifest.labels?.[label?.below];
  const [noise] = inputs;
  const fits = labels && !more.length && picture && inputs.length === 1 && noise.axes.length === 3 && noise.dtype === 'float32';
  return fits ? { labels, label, noise, picture, sizes: contract.sizes } : null;
}

/**
 * Paint a picture.
 *
 * @param place of the label among the labels
 * @param seed a whole number of 0 or more; the same paints the same
 * @returns [{ width, height, light }], the picture after each step: Float32Array [height * width], 0 black to 1 white
 */
export async function paint(model, { place, seed, steps }) {
  const { label, noise, picture, sizes } = painterOf(model);
  const named = { [label.name]: { dtype: label.dtype, dims: [1], data: BigInt64Array.of(BigInt(place)) } };
  let { contexts, state } = await model.begin(named);
  const [width, normal, painted] = [sizes[noise.axes[2]], normals(seed), []];
  for (let step = 0; step < steps; step += 1) {
    const fed = { dtype: noise.dtype, dims: [1, 1, width], data: Float32Array.from({ length: width }, normal) };
    const made = await model.step({ [noise.name]: fed, ...contexts }, state);
    state = made.state;
    painted.push({ width: sizes.width, height: sizes.height, light: made.outputs[picture.name].data });
  }
  return painted;
}

/** Return a function that gives standard normal numbers, two uniform ones each (Box and Muller). */
function normals(seed) {
  let position = 0;
  const uniform = () => uniformAt(BigInt(seed), position++);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
