// The golden run: recorded once from the reference, replayed here, compared tensor by tensor. So any device checks itself.

import { BadInput } from './errors.js';
import { parse } from './safetensors.js';

const LEAST_SCALE = 1e-3; // a tensor smaller than this in every value is as good as zero

/** Replay the golden run; returns [{ name, worst, tolerance, ok }], a row per tensor; without one a row of worst null. */
export async function checkGolden(session) {
  const { bundle } = session;
  const path = bundle.manifest.golden;
  if (path === null) return [{ name: 'golden', worst: null, tolerance: 0, ok: true, note: 'the bundle has no recorded run' }];
  const golden = parse(await bundle.file(path), path).tensors;
  const rows = session.encoder ? await checkEncode(session, golden) : [];
  return [...rows, ...(await checkStep(session, golden))];
}

async function checkEncode(session, golden) {
  const [image] = session.bundle.encode.inputs;
  const { contexts, state } = await session.encode(need(golden, image.name));
  const run = newRun(session.encoder);
  const made = { ...contexts, ...(session.bundle.contract.initial_state === 'encode' ? state : {}) };
  for (const [name, { data }] of Object.entries(made)) run.compare(name, need(golden, name).data, data);
  return run.rows();
}

async function checkStep(session, golden) {
  const run = newRun(session.artifact);
  const pick = (specs) => Object.fromEntries(specs.map(({ name }) => [name, need(golden, name)]));
  const contexts = pick(session.contexts);
  const tokens = need(golden, session.tokens.name);
  const [steps] = tokens.dims;
  if (!(steps > 0)) throw new BadInput('the golden run has no step, expected one at least; export the bundle again');
  let state = pick(session.states);
  for (let at = 0; at < steps; at++) {
    const made = await session.step({ [session.tokens.name]: row(tokens, at), ...contexts }, state);
    for (const [name, { data }] of Object.entries(made.outputs))
      for (const [part, wanted, found] of compared(name, data, golden, at)) run.compare(part, wanted, found);
    for (const { name } of session.states) {
      const wanted = row(need(golden, `${name}_next`), at);
      run.compareState(`${name}_next`, wanted, made.state[name]);
      if (run.forced) made.state[name] = wanted; // each step from the recorded state
    }
    state = made.state;
  }
  return run.rows();
}

/**
 * Return what is compared of an output at a step, [[name, recorded, found]]: all values, or, of an output too wide to be
 * recorded whole, the values at some ids, the largest ones, and the logarithm of the sum of exp over all.
 */
function compared(name, data, golden, at) {
  if (!golden[`${name}.columns`]) return [[name, row(need(golden, name), at).data, data]];
  const take = (ids) => Float64Array.from(ids, (id) => data[id]); // an id out of range gives NaN, which no tolerance passes
  const part = (what) => row(need(golden, `${name}.${what}`), at).data;
  const top = data.reduce((most, value) => Math.max(most, value), -Infinity);
  const sum = data.reduce((total, value) => total + Math.exp(value - top), 0);
  return [
    [`${name}.at_columns`, part('at_columns'), take(golden[`${name}.columns`].data)],
    [`${name}.largest`, part('largest'), take(part('largest_ids'))],
    [`${name}.log_sum`, part('log_sum'), Float64Array.of(top + Math.log(sum))],
  ];
}

function newRun({ tolerance, forced, path }) {
  if (tolerance === null)
    throw new BadInput(
      `manifest.json gives ${path} no tolerance, expected how far its golden run may be off; export the bundle again`,
    );
  return new Run(tolerance, forced);
}

/** The differences and sizes of every tensor of one run, step by step. */
class Run {
  constructor(tolerance, forced) {
    this.tolerance = tolerance;
    this.forced = forced;
    this.seen = new Map(); // name → [[difference, size], …] by step
  }

  compare(name, wanted, found) {
    const size = this.forced ? rootMeanSquare : largest;
    const same = wanted.length === found.length && found.every(Number.isFinite) && wanted.every(Number.isFinite);
    const difference = same ? size(Float64Array.from(wanted, (value, index) => value - found[index])) : Infinity;
    if (!this.seen.has(name)) this.seen.set(name, []);
    this.seen.get(name).push([difference, size(wanted)]);
  }

  /** Compare a state [L, 1, H]: layer by layer where steps are forced, for one in many would be small in all together. */
  compareState(name, wanted, found) {
    if (!this.forced) return this.compare(name, wanted.data, found.data);
    const [layers] = wanted.dims;
    const width = wanted.data.length / layers;
    for (let layer = 0; layer < layers; layer++) {
      const part = [layer * width, (layer + 1) * width];
      this.compare(`${name}[${layer}]`, wanted.data.subarray(...part), found.data.subarray(...part));
    }
  }

  rows() {
    return Array.from(this.seen, ([name, steps]) => {
      const sizes = steps.map(([, size]) => size);
      const worst = this.forced
        ? relativeWorst(steps, rootMeanSquare(sizes))
        : largest(steps.map(([d]) => d)) / Math.max(1, largest(sizes));
      return { name, worst, tolerance: this.tolerance, ok: worst <= this.tolerance };
    });
  }
}

function relativeWorst(steps, scale) {
  return largest(steps.map(([difference, size]) => difference / Math.max(LEAST_SCALE, scale, size)));
}

function largest(values) {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function rootMeanSquare(values) {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

function row({ dtype, dims, data }, at) {
  const width = data.length / dims[0];
  if (at >= dims[0])
    throw new BadInput(`the golden run has ${dims[0]} steps of a tensor, expected ${at + 1}; export the bundle again`);
  return { dtype, dims: dims.slice(1), data: data.slice(at * width, (at + 1) * width) };
}

function need(golden, name) {
  if (!golden[name])
    throw new BadInput(`the golden run has no tensor ${name}, expected every one of the contract; export the bundle again`);
  return golden[name];
}
