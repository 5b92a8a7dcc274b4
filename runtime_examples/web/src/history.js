// What a state was over time: of each state and layer a value a unit and a step.

import { LAYERS } from './contract.js';
import { numbers } from './safetensors.js';

const MOST_VALUES = 2 ** 22; // of all states
const NEAR_BOUND = 0.95;
const STILL = 0.01;
const BOUND = 1.001; // of a tanh, as float32 rounds it

export class History {
  /**
   * @param states [{ name, axes, dims }] of the contract, an open axis as 1
   * @param most steps that are kept, the last ones
   */
  constructor(states, most) {
    this.states = states.map((state) => ({ ...state, axis: state.axes.indexOf(LAYERS) }));
    const units = states.reduce((sum, { dims }) => sum + dims.reduce((a, b) => a * b, 1), 0);
    this.most = Math.max(1, Math.min(most, Math.floor(MOST_VALUES / Math.max(1, units))));
    this.labels = [];
    this.steps = [];
    this.first = 0; // the number of the first step that is kept
  }

  /** Keep a state { NAME: tensor } after a step. */
  push(state, label) {
    this.steps.push(this.states.flatMap((each) => partsOf(state[each.name], each.axis)));
    this.labels.push(label);
    if (this.steps.length <= this.most) return;
    this.steps.shift();
    this.labels.shift();
    this.first += 1;
  }

  /** Return [{ name, units, values: Float32Array [steps, units] }], one of each state and layer. */
  rows() {
    const names = this.states.flatMap(({ name, dims, axis }) =>
      Array.from({ length: axis < 0 ? 1 : dims[axis] }, (_, layer) => (axis < 0 ? name : `${name}, layer ${layer + 1}`)),
    );
    return names.map((name, at) => {
      const units = this.steps[0]?.[at].length ?? 0;
      const values = new Float32Array(units * this.steps.length);
      this.steps.forEach((parts, step) => values.set(parts[at], step * units));
      return { name, units, values };
    });
  }
}

/** A state's values layer by layer: [Float32Array], one of all where it has no layers. */
function partsOf({ dtype, dims, data }, axis) {
  const values = Float32Array.from(numbers({ dtype, data }));
  if (axis < 0) return [values];
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const parts = Array.from({ length: dims[axis] }, () => []);
  for (let at = 0; at < values.length; at += inner) parts[(at / inner) % dims[axis]].push(values.subarray(at, at + inner));
  return parts.map((each) => Float32Array.from(each.flatMap((part) => [...part])));
}

/**
 * Sum a row of `rows` up: { least, most, bounded, share, still }: its smallest and largest value; whether all lie within -1 and
 * 1; the share of values beyond 0.95 either way; how many units never moved by 0.01 or more.
 */
export function figuresOf({ units, values }) {
  let [least, most, beyond] = [Infinity, -Infinity, 0];
  const [low, high] = [new Float64Array(units).fill(Infinity), new Float64Array(units).fill(-Infinity)];
  values.forEach((value, at) => {
    least = Math.min(least, value);
    most = Math.max(most, value);
    if (Math.abs(value) > NEAR_BOUND) beyond += 1;
    const unit = at % units;
    low[unit] = Math.min(low[unit], value);
    high[unit] = Math.max(high[unit], value);
  });
  const still = low.reduce((count, value, unit) => count + (high[unit] - value < STILL ? 1 : 0), 0);
  return { least, most, bounded: Math.max(-least, most) < BOUND, share: values.length ? beyond / values.length : 0, still };
}
