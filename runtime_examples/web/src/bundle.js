// The bundle: a manifest and the files it lists. Nothing is used before its size and SHA-256 were compared with the manifest.

import { FORMAT as COMPILED, moduleOf } from './compiled.js';
import { BundleError } from './errors.js';
import { readManifest } from './manifest.js';
import { needed } from './versions.js';

export const FORMAT = 'onnx'; // what this example's runtime runs; a WebAssembly module of another format needs none
const STEP = 'step';
const ENCODE = 'encode';
const MOST_MANIFEST_BYTES = 16 * 2 ** 20;

export class Bundle {
  /**
   * Read the manifest. `read(path, most)` gives a promise of a file's bytes (Uint8Array), or of null where there is no such
   * file, and throws BundleError rather than reading more than `most`; `place` names the bundle in messages.
   */
  static async open(read, place) {
    const bytes = await read('manifest.json', MOST_MANIFEST_BYTES);
    if (!bytes) throw new BundleError(`there is no manifest.json in ${place}; expected a bundle; make one with: edgernn export`);
    return new Bundle(readManifest(bytes, place), read, place);
  }

  constructor(manifest, read, place) {
    this.manifest = manifest;
    this.contract = manifest.contract;
    this.place = place;
    this.read = read;
    this.runtime = null; // the version of onnxruntime, once it is there
    this.integersLast = false; // whether that runs files in integers slower than those in floats
  }

  /** The contract's graph of that name, or undefined. */
  graph(name) {
    return this.contract.graphs.find((graph) => graph.name === name);
  }

  get step() {
    return this.graph(STEP);
  }

  get encode() {
    return this.graph(ENCODE);
  }

  /** The step artifacts that run here: those with a module first, and last what is slow here. */
  get choices() {
    const found = this.manifest.artifacts.filter((each) => each.graph === STEP && runs(each));
    const rank = (each) => (moduleOf(each) ? 0 : this.isSlow(each) ? 2 : 1);
    return found.sort((one, other) => rank(one) - rank(other));
  }

  /** Whether the runtime takes longer for an artifact, in integers, than for one in floats. */
  isSlow(artifact) {
    return this.integersLast && !moduleOf(artifact) && !artifact.precision.startsWith('float');
  }

  /** Return the step artifact with that path, by default the first that has a module or that this runtime is new enough for. */
  artifact(path = null) {
    const there = this.choices.map((each) => each.path).join(', ') || 'none';
    const first = this.choices.find((each) => !needed(each, this.runtime)) ?? this.choices[0];
    const found = path === null ? first : this.manifest.artifacts.find((each) => each.path === path);
    if (!found) {
      const wanted = path ?? `of format ${FORMAT}, and none of ${COMPILED} with a WebAssembly module`;
      const advice = there === 'none' ? 'export it again with --to onnx, or with --to c --target wasm' : `expected one of: ${there}`;
      throw new BundleError(`${this.place} has no artifact ${wanted}; ${advice}`);
    }
    if (!runs(found)) {
      const lacks = found.format === COMPILED ? ` and has no WebAssembly module` : '';
      throw new BundleError(`${path} is of format ${found.format}${lacks}, expected ${FORMAT}; choose one of: ${there}`);
    }
    if (found.graph !== STEP)
      throw new BundleError(`${path} computes the graph ${found.graph}, expected ${STEP}; choose one of: ${there}`);
    if (needed(found, this.runtime))
      throw new BundleError(
        `${found.path} needs onnxruntime ${needed(found, this.runtime)} or newer, and this is ${this.runtime}; ` +
          `update onnxruntime, or choose another of: ${there}`,
      );
    return found;
  }

  /** Return the encode artifact that goes with a step artifact: of its format and its precision where there is one. */
  encoderOf(step) {
    const found = this.manifest.artifacts
      .filter((each) => runs(each) && each.graph === ENCODE && !needed(each, this.runtime))
      .sort((one, other) => Number(other.format === step.format) - Number(one.format === step.format));
    if (!found.length)
      throw new BundleError(
        `${this.place} has no ${FORMAT} file of the graph ${ENCODE} that onnxruntime ${this.runtime} runs; export the bundle again`,
      );
    const same = found.filter(({ format }) => format === found[0].format);
    return same.find(({ precision }) => precision === step.precision) ?? same[0];
  }

  /** Return a file's bytes once they are what the manifest says. */
  async file(path) {
    const { files, artifacts } = this.manifest;
    const promised = Object.hasOwn(files, path) ? files[path] : artifacts.find((artifact) => artifact.path === path);
    if (!promised) throw new BundleError(`manifest.json of ${this.place} does not list ${path}; export the bundle again`);
    const bytes = await this.read(path, promised.bytes);
    if (!bytes) throw new BundleError(`${path} is missing in ${this.place}; copy or export the bundle again`);
    if (bytes.length !== promised.bytes) {
      throw new BundleError(
        `${path} has ${bytes.length} bytes, expected ${promised.bytes}; ` +
          `it is damaged or changed, copy or export the bundle again`,
      );
    }
    const seen = await sha256(bytes);
    if (seen !== promised.sha256) {
      throw new BundleError(
        `${path} has the SHA-256 ${seen.slice(0, 12)}…, expected ${promised.sha256.slice(0, 12)}…; ` +
          `it is damaged or changed, copy or export the bundle again`,
      );
    }
    return bytes;
  }

  /** Compare every listed file with the manifest, model files and libraries aside: those are compared when they are opened. */
  async verifyFiles() {
    const built = new Set(this.manifest.artifacts.flatMap(({ libraries }) => libraries.map(({ path }) => path)));
    for (const path of Object.keys(this.manifest.files)) if (!built.has(path)) await this.file(path);
  }
}

/** Whether this example runs an artifact. */
function runs(artifact) {
  return artifact.format === FORMAT || moduleOf(artifact) !== undefined;
}

async function sha256(bytes) {
  if (!globalThis.crypto?.subtle)
    throw new BundleError(
      'digests cannot be computed on a page that came over plain http; expected https or localhost; open it there',
    );
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
