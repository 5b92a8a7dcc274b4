// An opened bundle: begin(inputs) -> { contexts, state }, step(inputs, state) -> { outputs, state }, with nothing remembered in
// between. Every name, shape and limit comes from the contract in the manifest. A file runs in onnxruntime, or is a WebAssembly
// module that needs none.

import { moduleOf, openModule } from './compiled.js';
import { BATCH, TIME, attentionOf, idsOf, ofRole, scoresOf, sizeOf } from './contract.js';
import { BundleError, reason } from './errors.js';
import { openOnnx } from './ort_session.js';
import { arrayType, fits, parse, repeated, withRow, wrong, zeros } from './safetensors.js';

export class Model {
  /**
   * Open a bundle's step artifact, and its encode artifact where the model has such a graph.
   *
   * @param bundle an open Bundle
   * @param artifact path of a step artifact; null takes the first that runs here
   * @param runtime { load, options, integersLast }: what gives a promise of onnxruntime, called where a file needs it; the options
   *   of its sessions; whether it runs files in integers slower than those in floats, which are then taken first
   */
  static async load(bundle, artifact, { load, options, integersLast = false }) {
    bundle.integersLast = integersLast;
    let [chosen, encoder] = choose(bundle, artifact);
    let ort = null;
    if (![chosen, encoder].every((each) => each === null || moduleOf(each))) {
      ort = await load();
      bundle.runtime = ort.env.versions.common; // which files it is new enough for
      [chosen, encoder] = choose(bundle, artifact);
    }
    const model = new Model(bundle, chosen, encoder);
    await model.readStored();
    for (const each of [chosen, encoder].filter(Boolean))
      model.sessions[each.graph] = moduleOf(each) ? await openModule(bundle, each) : await openOnnx(bundle, each, ort, options);
    return model;
  }

  constructor(bundle, artifact, encoder) {
    const { contract } = bundle;
    for (const each of [artifact, encoder]) if (each) refuseNarrowing(each, contract.step_frames);
    this.bundle = bundle;
    this.contract = contract;
    this.artifact = artifact;
    this.encoder = encoder;
    this.sessions = {}; // graph → what runs its file
    this.stored = {};
    this.inputs = ofRole(bundle.step.inputs, 'input');
    this.states = ofRole(bundle.step.inputs, 'state');
    this.contexts = ofRole(bundle.step.inputs, 'context');
    this.ids = idsOf(contract);
    this.scores = scoresOf(contract);
    this.attention = attentionOf(contract);
    this.vocabulary = this.ids && contract.sizes[this.ids.below];
    this.openTime = !(TIME in artifact.narrowing.axes) && !(TIME in contract.sizes);
  }

  /**
   * Begin a sequence: encode inputs (by name) where the model has an encode graph, which then says how many rows there are; else
   * there are `batch`. Returns { contexts, state } for the first step: of each state what encode gives, its stored value in every
   * row, or zeros.
   */
  async begin(inputs = {}, batch = 1) {
    if (!(batch >= 1) || (!this.encoder && Object.keys(inputs).length))
      throw new BundleError(
        `a sequence begins with [${Object.keys(inputs)}] and ${batch} rows, expected what encode takes, if there is encode, and ` +
          `1 row or more`,
      );
    const made = this.encoder ? await this.run('encode', inputs) : {};
    const contexts = pick(made, this.contexts);
    const sizes = { [BATCH]: batch };
    const given = [...(this.bundle.encode?.inputs ?? []), ...this.contexts];
    for (const { name, axes } of given) axes.forEach((axis, at) => (sizes[axis] = (contexts[name] ?? inputs[name]).dims[at]));
    const encoded = this.states.filter(({ name }) => this.firstOf(name) === 'encode');
    return { contexts, state: { ...this.firstState(sizes), ...pick(made, encoded) } };
  }

  /** Return the first values that do not come from encode, by name, in a run of these sizes of open axes, of one row else. */
  firstState(open = {}) {
    const sizes = { [BATCH]: 1, ...open, ...this.contract.sizes };
    const made = this.states
      .filter(({ name }) => this.firstOf(name) !== 'encode')
      .map(({ name, dtype, axes }) => {
        const dims = axes.map((axis) => sizeOf(sizes, axis, 1));
        return [name, this.stored[name] ? repeated(this.stored[name], axes.indexOf(BATCH), sizes[BATCH]) : zeros(dtype, dims)];
      });
    return Object.fromEntries(made);
  }

  /**
   * Advance by one call.
   *
   * @param inputs step's inputs and the contexts, by name
   * @returns { outputs, state }: outputs by name, the next state by the names of `state`
   */
  async step(inputs, state) {
    this.checkIds(inputs);
    const made = await this.run('step', { ...inputs, ...state });
    const next = this.states.map(({ name }) => [name, made[`${name}_next`]]);
    return { outputs: pick(made, ofRole(this.bundle.step.outputs, 'output')), state: Object.fromEntries(next) };
  }

  /**
   * Return `state` with row `otherRow` of another state in place of `row`, so that a row begins again, goes back or goes on in
   * another place; neither is changed. A state without rows stays as it is in `state`.
   */
  setRow(state, row, other, otherRow = 0) {
    const made = this.states.map(({ name, axes }) => {
      const axis = axes.indexOf(BATCH);
      return [name, axis < 0 ? state[name] : withRow(state[name], row, other[name], otherRow, axis)];
    });
    return Object.fromEntries(made);
  }

  /** Return token ids as the tensor that step takes, one row. */
  idTensor(ids) {
    const { dtype, axes } = this.ids;
    const Type = arrayType(dtype);
    const data = dtype === 'int64' ? BigInt64Array.from(ids, BigInt) : Type.from(ids);
    return { dtype, dims: axes.map((axis) => (axis === TIME ? ids.length : 1)), data };
  }

  /** Free what the runtime holds. */
  async release() {
    for (const session of Object.values(this.sessions)) await session.release();
  }

  /** Run a graph, step or encode, by the names of its inputs; returns every output by name. */
  async run(graph, feeds) {
    try {
      return await this.sessions[graph].run(feeds);
    } catch (error) {
      const told = wrong(this.bundle[graph].inputs, feeds, this.contract.sizes);
      throw new BundleError(told ?? `the model refuses its inputs: ${reason(error)}; expected what the contract says; give that`);
    }
  }

  /** Whence a state has its first value: 'stored', 'encode', or null for zeros. */
  firstOf(name) {
    return Object.hasOwn(this.contract.initial_state, name) ? this.contract.initial_state[name] : null;
  }

  /** Read the stored first values, and hold them against the contract. */
  async readStored() {
    const wanted = this.states.filter(({ name }) => this.firstOf(name) === 'stored');
    if (!wanted.length) return;
    const path = this.bundle.manifest.initial_state;
    const { tensors } = parse(await this.bundle.file(path), path);
    const wrong = wanted.find((spec) => !fits(spec, tensors[spec.name], { ...this.contract.sizes, [BATCH]: 1 }));
    if (wrong || Object.keys(tensors).length !== wanted.length)
      throw new BundleError(
        `${path} has ${Object.keys(tensors)}, expected the stored states ${wanted.map(({ name }) => name)} ` +
          `as the contract has them; export the bundle again`,
      );
    this.stored = tensors;
  }

  /** Refuse what is not below its axis: the runtime would read another row, in silence. */
  checkIds(inputs) {
    for (const { name, below } of this.bundle.step.inputs) {
      if (below === null) continue;
      const size = this.contract.sizes[below];
      const off = inputs?.[name]?.data?.find((id) => id < 0 || id >= size); // what is no tensor is told by run
      if (off !== undefined)
        throw new BundleError(`an id of ${name} is ${off}, expected 0 to ${size - 1}; encode with the bundle's tokenizer`);
    }
  }
}

function pick(tensors, specs) {
  return Object.fromEntries(specs.map(({ name }) => [name, tensors[name]]));
}

/** The step artifact, and the encode artifact or null. */
function choose(bundle, artifact) {
  const chosen = bundle.artifact(artifact);
  return [chosen, bundle.encode ? bundle.encoderOf(chosen) : null];
}

function refuseNarrowing({ path, narrowing }, stepFrames) {
  const [name] = Object.keys(narrowing.dtypes);
  if (name)
    throw new BundleError(
      `${path} takes ${name} as ${narrowing.dtypes[name]}, expected the contract's dtype in this example; ` +
        `choose another artifact`,
    );
  if (narrowing.runtime_state)
    throw new BundleError(`${path} keeps its state in the runtime, expected explicit state; choose another artifact`);
  for (const [axis, wanted] of [
    [BATCH, 1],
    [TIME, stepFrames],
  ]) {
    const size = sizeOf(narrowing.axes, axis, wanted);
    if (size !== wanted) throw new BundleError(`${path} fixes ${axis} at ${size}, expected ${wanted}; choose another artifact`);
  }
}
