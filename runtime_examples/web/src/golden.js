// The golden run: recorded once from the reference, replayed here, compared tensor by tensor. So any device checks itself.

import { BATCH, LAYERS, TIME, ofRole } from './contract.js';
import { BundleError } from './errors.js';
import { fits, numbers, parse } from './safetensors.js';

const LEAST_SCALE = 1e-3; // a tensor smaller than this in every value is as good as zero

/**
 * Replay the golden run; returns [{ name, worst, tolerance, ok, parts }], a row per tensor; without one a row of worst null.
 * parts: of a tensor that is off { step, last, by }, the step at which it was first, the number of the last one, and how far.
 */
export async function checkGolden(model) {
  const path = model.bundle.manifest.golden;
  if (path === null) return [{ name: 'golden', worst: null, tolerance: 0, ok: true, note: 'the bundle has no recorded run' }];
  const golden = await readGolden(model);
  const rows = model.encoder ? await checkEncode(model, golden) : [];
  return [...rows, ...(await checkStep(model, golden))];
}

/** Read the golden run: { NAME: tensor }, of which every one that is fed is as the contract has it. */
export async function readGolden({ bundle, contract, inputs, contexts, states }) {
  const path = bundle.manifest.golden;
  const golden = parse(await bundle.file(path), path).tensors;
  const sizes = { ...contract.sizes, [BATCH]: 1, [TIME]: contract.step_frames, steps: stepsOf({ inputs, states }, golden) };
  const stepwise = inputs.map((spec) => ({ ...spec, axes: ['steps', ...spec.axes] }));
  for (const spec of [...(bundle.encode?.inputs ?? []), ...contexts, ...states, ...stepwise]) {
    const found = need(golden, spec.name);
    if (!fits(spec, found, sizes))
      throw new BundleError(
        `${path} has ${spec.name} as ${found.dtype} [${found.dims}], expected what the contract has; export the bundle again`,
      );
  }
  return golden;
}

/** How many steps a golden run has. */
export function stepsOf({ inputs, states }, golden) {
  const names = [...inputs.map(({ name }) => name), ...states.map(({ name }) => `${name}_next`)];
  const steps = Math.min(...names.map((name) => need(golden, name).dims[0] ?? 0));
  if (!(steps > 0 && steps < Infinity))
    throw new BundleError('the golden run has no step, expected one at least; export the bundle again');
  return steps;
}

async function checkEncode(model, golden) {
  const { inputs, outputs } = model.bundle.encode;
  const made = await model.run('encode', Object.fromEntries(inputs.map(({ name }) => [name, need(golden, name)])));
  const run = newRun(model.encoder);
  for (const { name } of outputs) run.compare(name, need(golden, name), made[name]);
  return run.rows().map((row) => ({ ...row, parts: undefined })); // before any step
}

async function checkStep(model, golden) {
  const run = newRun(model.artifact);
  const pick = (specs, of) => Object.fromEntries(specs.map(({ name }) => [name, of(name)]));
  const contexts = pick(model.contexts, (name) => need(golden, name));
  let state = pick(model.states, (name) => need(golden, name));
  for (let at = 0; at < stepsOf(model, golden); at++) {
    const inputs = pick(model.inputs, (name) => row(need(golden, name), at));
    const made = await model.step({ ...inputs, ...contexts }, state);
    for (const { name } of ofRole(model.bundle.step.outputs, 'output'))
      for (const [part, wanted, found] of compared(name, made.outputs[name], golden, at)) run.compare(part, wanted, found);
    for (const { name, axes } of model.states) {
      const wanted = row(need(golden, `${name}_next`), at);
      run.compareState(`${name}_next`, wanted, made.state[name], axes.indexOf(LAYERS));
      if (run.forced) made.state[name] = wanted; // each step from the recorded state
    }
    state = made.state;
  }
  return run.rows();
}

/**
 * Return what is compared of an output at a step, [[name, recorded, found]]: all values, or, of an output too wide to be
 * recorded whole, row by row the values at some ids, the largest ones, and the logarithm of the sum of exp over all.
 */
function compared(name, found, golden, at) {
  if (!golden[`${name}.columns`]) return [[name, row(need(golden, name), at), found]];
  const part = (what) => row(need(golden, `${name}.${what}`), at);
  const [width, values] = [found.dims.at(-1), numbers(found)];
  const rows = Array.from({ length: values.length / width }, (_, index) => values.subarray(index * width, (index + 1) * width));
  const take = (wanted, ids) => ({
    ...wanted,
    data: Float64Array.from(rows.flatMap((each, index) => Array.from(ids(index), (id) => each[id]))), // NaN: out of range
  });
  const [columns, largest] = [golden[`${name}.columns`].data, part('largest_ids')];
  const most = largest.data.length / rows.length;
  const largestOf = (index) => largest.data.subarray(index * most, (index + 1) * most);
  const logSum = (each) => {
    const top = each.reduce((a, b) => Math.max(a, b), -Infinity);
    return top + Math.log(each.reduce((total, value) => total + Math.exp(value - top), 0));
  };
  const sums = { ...part('log_sum'), data: Float64Array.from(rows, logSum) };
  return [
    [`${name}.at_columns`, part('at_columns'), take(part('at_columns'), () => columns)],
    [`${name}.largest`, part('largest'), take(part('largest'), largestOf)],
    [`${name}.log_sum`, part('log_sum'), sums],
  ];
}

function newRun({ tolerance, forced, path }) {
  if (tolerance === null)
    throw new BundleError(
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
    if (wanted.dtype !== found.dtype || String(wanted.dims) !== String(found.dims))
      throw new BundleError(
        `the golden run has ${name} as ${wanted.dtype} [${wanted.dims}], expected ${found.dtype} [${found.dims}]; ` +
          `export the bundle again`,
      );
    this.note(name, numbers(wanted), numbers(found));
  }

  /** Compare a state: layer by layer where steps are forced, for one in many would be small in all together. */
  compareState(name, wanted, found, layersAt) {
    if (!this.forced || layersAt < 0) return this.compare(name, wanted, found);
    for (let layer = 0; layer < wanted.dims[layersAt]; layer++)
      this.compare(`${name}[${layer}]`, ...[wanted, found].map((tensor) => layerOf(tensor, layersAt, layer)));
  }

  note(name, wanted, found) {
    const size = this.forced ? rootMeanSquare : largest;
    const whole = wanted.every(Number.isFinite);
    const same = wanted.length === found.length && found.every(Number.isFinite) && whole;
    const difference = same ? size(wanted.map((value, index) => value - found[index])) : Infinity;
    if (!this.seen.has(name)) this.seen.set(name, []);
    this.seen.get(name).push([difference, whole ? size(wanted) : 0]);
  }

  rows() {
    const { tolerance } = this;
    return Array.from(this.seen, ([name, steps]) => {
      const sizes = steps.map(([, size]) => size);
      const scale = this.forced ? Math.max(LEAST_SCALE, rootMeanSquare(sizes)) : Math.max(1, largest(sizes));
      const off = steps.map(([difference, size]) => difference / Math.max(scale, this.forced ? size : 0));
      const step = off.findIndex((each) => !(each <= tolerance));
      const parts = step < 0 ? undefined : { step, last: off.length - 1, by: off[step] };
      return { name, worst: largest(off), tolerance, ok: step < 0, parts };
    });
  }
}

/** One layer of a tensor, as if it had no axis of layers. */
function layerOf({ dtype, dims, data }, axis, layer) {
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const made = data.filter((_, index) => Math.floor(index / inner) % dims[axis] === layer);
  return { dtype, dims: dims.filter((_, at) => at !== axis), data: made };
}

function largest(values) {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function rootMeanSquare(values) {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

/** What a recorded tensor has at a step. */
export function row({ dtype, dims, data }, at) {
  const width = data.length / dims[0];
  if (at >= dims[0])
    throw new BundleError(`the golden run has ${dims[0]} steps of a tensor, expected ${at + 1}; export the bundle again`);
  return { dtype, dims: dims.slice(1), data: data.slice(at * width, (at + 1) * width) };
}

function need(golden, name) {
  if (!golden[name])
    throw new BundleError(`the golden run has no tensor ${name}, expected every one of the contract; export the bundle again`);
  return golden[name];
}
