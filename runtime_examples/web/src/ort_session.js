// A model file in onnxruntime-node or onnxruntime-web, `ort`: both have the same interface.

import { BundleError, reason } from './errors.js';
import { refuseForeign } from './onnx_guard.js';

/** Open an artifact; see `OrtSession.run`. */
export async function openOnnx(bundle, artifact, ort, options) {
  const bytes = await bundle.file(artifact.path);
  refuseForeign(bytes, artifact.path);
  const spec = bundle.graph(artifact.graph);
  try {
    const session = await ort.InferenceSession.create(bytes, options);
    for (const [side, names] of [
      ['inputs', session.inputNames],
      ['outputs', session.outputNames],
    ])
      if (String([...names].sort()) !== String(spec[side].map(({ name }) => name).sort()))
        throw new Error(`it has the ${side} ${names}, and the contract ${spec[side].map(({ name }) => name)}`);
    return new OrtSession(ort, session, artifact.path);
  } catch (error) {
    throw new BundleError(
      `the runtime cannot open ${artifact.path}: ${reason(error)}; choose another artifact or export the bundle again`,
    );
  }
}

class OrtSession {
  constructor(ort, session, path) {
    this.ort = ort;
    this.session = session;
    this.path = path;
  }

  /** Run the graph over tensors by name; returns a promise of every output by name. */
  async run(feeds) {
    const given = {};
    for (const [name, { dtype, dims, data }] of Object.entries(feeds)) given[name] = new this.ort.Tensor(dtype, data, dims);
    const made = await this.session.run(given);
    return Object.fromEntries(
      Object.entries(made).map(([name, { type, dims, data }]) => [name, { dtype: type, dims: [...dims], data }]),
    );
  }

  release() {
    return this.session.release();
  }
}
