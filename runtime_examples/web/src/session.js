// The session: step(inputs, state) -> { outputs, state }, with nothing remembered in between. Every name, shape and limit
// comes from the contract in the manifest. `ort` is onnxruntime-node or onnxruntime-web: both have the same interface.

import { BadInput, reason } from './errors.js';
import { refuseForeign } from './onnx_guard.js';
import { parse, zeros } from './safetensors.js';

const BATCH = 'batch';
const TIME = 'time';
const UNIT = 1; // one row; and one step, where the time axis is not open

export class Session {
  /**
   * Open a bundle's step artifact, and its encode artifact where the model has such a graph.
   *
   * @param bundle an open Bundle
   * @param artifact path of a step artifact; null takes the first that runs here
   * @param runtime { ort, options }: the library, and the options of its sessions
   */
  static async load(bundle, artifact, { ort, options }) {
    const chosen = bundle.artifact(artifact);
    const encoder = bundle.encode ? bundle.encoderOf(chosen) : null;
    const session = new Session(bundle, chosen, encoder, ort);
    if (bundle.contract.initial_state === 'learned') {
      const path = bundle.manifest.initial_state;
      session.learned = parse(await bundle.file(path), path).tensors;
      session.checkLearned(path);
    }
    session.graphs.step = await openGraph(bundle, chosen, ort, options);
    if (encoder) session.graphs.encode = await openGraph(bundle, encoder, ort, options);
    return session;
  }

  constructor(bundle, artifact, encoder, ort) {
    for (const each of [artifact, encoder]) if (each) refuseNarrowing(each);
    this.bundle = bundle;
    this.artifact = artifact;
    this.encoder = encoder;
    this.ort = ort;
    this.graphs = {};
    const { inputs, outputs } = bundle.step;
    this.tokens = inputs.find((spec) => spec.role === 'input' && spec.below);
    this.logits = outputs.find((spec) => spec.role === 'output' && spec.axes.at(-1) === this.tokens.below);
    this.states = inputs.filter((spec) => spec.role === 'state');
    this.contexts = inputs.filter((spec) => spec.role === 'context');
    const regions = new Set(this.contexts.flatMap((spec) => spec.axes));
    this.attention = outputs.find((spec) => spec.role === 'output' && spec !== this.logits && regions.has(spec.axes.at(-1)));
    this.vocabulary = bundle.contract.sizes[this.tokens.below];
    this.openTime = !(TIME in artifact.narrowing.axes) && !(TIME in bundle.contract.sizes);
  }

  /** Return the state before the first step by name, one row. Where it comes from encode, there is none without a picture. */
  initialState() {
    const kind = this.bundle.contract.initial_state;
    if (kind === 'encode')
      throw new BadInput('the first state comes from a picture; call encode(image) and go on with its state');
    const make = (spec) =>
      zeros(
        spec.dtype,
        spec.axes.map((axis) => this.bundle.contract.sizes[axis] ?? UNIT),
      );
    return Object.fromEntries(
      this.states.map((spec) => [spec.name, kind === 'learned' ? this.learned[spec.name] : make(spec)]),
    );
  }

  /** Encode a picture, a tensor uint8 [1, height, width, channels]; returns { contexts, state }, both by name. */
  async encode(image) {
    const { inputs, outputs } = this.bundle.encode;
    const made = await this.run(this.graphs.encode, { [inputs[0].name]: image });
    const named = (role) =>
      Object.fromEntries(outputs.filter((spec) => spec.role === role).map(({ name }) => [name, made[name]]));
    const first = this.bundle.contract.initial_state === 'encode';
    return { contexts: named('context'), state: first ? named('state') : this.initialState() };
  }

  /**
   * Advance by the steps in `inputs`: tokens [1, T], and the contexts where the model has an encode graph.
   *
   * @returns { outputs, state }: outputs by name (logits [1, T, V]), the next state by the names of `state`
   */
  async step(inputs, state) {
    this.checkTokens(inputs[this.tokens.name]);
    const made = await this.run(this.graphs.step, { ...inputs, ...state });
    const outputs = this.bundle.step.outputs.filter((spec) => spec.role === 'output').map(({ name }) => [name, made[name]]);
    const next = this.states.map(({ name }) => [name, made[`${name}_next`]]);
    return { outputs: Object.fromEntries(outputs), state: Object.fromEntries(next) };
  }

  /** Return token ids as the tensor that step takes, [1, T]. */
  tokenTensor(ids) {
    return { dtype: this.tokens.dtype, dims: [UNIT, ids.length], data: BigInt64Array.from(ids, BigInt) };
  }

  /** Free what the runtime holds. */
  async release() {
    for (const graph of Object.values(this.graphs)) await graph.release();
  }

  /** Hold a learned first state against the contract. */
  checkLearned(path) {
    for (const { name, dtype, axes } of this.states) {
      const [found, dims] = [this.learned[name], axes.map((axis) => this.bundle.contract.sizes[axis] ?? UNIT)];
      if (found?.dtype !== dtype || String(found.dims) !== String(dims))
        throw new BadInput(`${path} has ${name} as ${dtype} [${found?.dims}], expected [${dims}]; export the bundle again`);
    }
  }

  checkTokens({ data }) {
    const wrong = data.find((id) => id < 0n || id >= BigInt(this.vocabulary)); // the runtime would read another row, in silence
    if (wrong !== undefined)
      throw new BadInput(`the token id is ${wrong}, expected 0 to ${this.vocabulary - 1}; encode with the bundle's tokenizer`);
  }

  async run(graph, feeds) {
    const given = {};
    for (const [name, { dtype, dims, data }] of Object.entries(feeds)) given[name] = new this.ort.Tensor(dtype, data, dims);
    let made;
    try {
      made = await graph.run(given);
    } catch (error) {
      throw new BadInput(
        `the model refuses its inputs: ${reason(error)}; expected what the contract says; export the bundle again`,
      );
    }
    return Object.fromEntries(
      Object.entries(made).map(([name, { type, dims, data }]) => [name, { dtype: type, dims: [...dims], data }]),
    );
  }
}

async function openGraph(bundle, artifact, ort, options) {
  const bytes = await bundle.file(artifact.path);
  refuseForeign(bytes, artifact.path);
  const spec = bundle.graph(artifact.graph);
  try {
    const graph = await ort.InferenceSession.create(bytes, options);
    for (const [side, names] of [
      ['inputs', graph.inputNames],
      ['outputs', graph.outputNames],
    ])
      if (String([...names].sort()) !== String(spec[side].map(({ name }) => name).sort()))
        throw new Error(`it has the ${side} ${names}, and the contract ${spec[side].map(({ name }) => name)}`);
    return graph;
  } catch (error) {
    throw new BadInput(
      `the runtime cannot open ${artifact.path}: ${reason(error)}; choose another artifact or export the bundle again`,
    );
  }
}

function refuseNarrowing({ path, narrowing }) {
  const [name] = Object.keys(narrowing.dtypes);
  if (name)
    throw new BadInput(
      `${path} takes ${name} as ${narrowing.dtypes[name]}, expected the contract's dtype in this example; ` +
        `choose another artifact`,
    );
  if (narrowing.runtime_state)
    throw new BadInput(`${path} keeps its state in the runtime, expected explicit state; choose another artifact`);
  for (const axis of [BATCH, TIME]) {
    if ((narrowing.axes[axis] ?? UNIT) !== UNIT)
      throw new BadInput(`${path} fixes ${axis} at ${narrowing.axes[axis]}, expected ${UNIT}; choose another artifact`);
  }
}
