// The bundle: a manifest and the files it lists. Nothing is used before its size and SHA-256 were compared with the manifest.

import { BadInput } from './errors.js';

export const SCHEMA_VERSION = 1;
export const FORMAT = 'onnx'; // what this example's runtime runs
const STEP = 'step';
const ENCODE = 'encode';

export class Bundle {
  /**
   * Read the manifest. `read(path)` gives a promise of a file's bytes (Uint8Array), or of null where there is no such file;
   * `place` names the bundle in messages.
   */
  static async open(read, place) {
    const bytes = await read('manifest.json');
    if (!bytes)
      throw new BadInput(`there is no manifest.json in ${place}; expected a bundle folder; make one with: edgernn export`);
    let manifest;
    try {
      manifest = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (error) {
      throw new BadInput(
        `manifest.json of ${place} is damaged (${error.message}); expected JSON; copy or export the bundle again`,
      );
    }
    return new Bundle(manifest, read, place);
  }

  constructor(manifest, read, place) {
    const version = manifest?.schema_version;
    if (version !== SCHEMA_VERSION) {
      throw new BadInput(
        `the bundle ${place} has schema_version ${JSON.stringify(version)}, expected ${SCHEMA_VERSION}; ` +
          `export it with a matching edgernn`,
      );
    }
    const lacking = ['contract', 'decoding', 'artifacts', 'tokenizer', 'files', 'golden'].filter((key) => !manifest[key]);
    if (!Array.isArray(manifest.artifacts)) lacking.push('a list of artifacts');
    if (!Array.isArray(manifest.contract?.graphs)) lacking.push('contract.graphs');
    if (lacking.length)
      throw new BadInput(`manifest.json of ${place} lacks ${lacking}; expected all of them; export the bundle again`);
    this.manifest = manifest;
    this.contract = manifest.contract;
    this.place = place;
    this.read = read;
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

  /** The step artifacts that this runtime runs. */
  get choices() {
    return this.manifest.artifacts.filter(({ format, graph }) => format === FORMAT && graph === STEP);
  }

  /** Return the step artifact with that path, by default the first that this runtime runs. */
  artifact(path = null) {
    const there = this.choices.map((each) => each.path).join(', ') || 'none';
    const found = path === null ? this.choices[0] : this.manifest.artifacts.find((each) => each.path === path);
    if (!found) throw new BadInput(`${this.place} has no artifact ${path ?? `of format ${FORMAT}`}; expected one of: ${there}`);
    if (found.format !== FORMAT)
      throw new BadInput(`${path} is of format ${found.format}, expected ${FORMAT}; choose one of: ${there}`);
    if (found.graph !== STEP)
      throw new BadInput(`${path} computes the graph ${found.graph}, expected ${STEP}; choose one of: ${there}`);
    return found;
  }

  /** Return the encode artifact that goes with a step artifact: of its precision where there is one. */
  encoderOf(step) {
    const found = this.manifest.artifacts.filter(({ format, graph }) => format === FORMAT && graph === ENCODE);
    if (!found.length)
      throw new BadInput(`${this.place} has no ${FORMAT} file of the graph ${ENCODE}; export the bundle again`);
    return found.find(({ precision }) => precision === step.precision) ?? found[0];
  }

  /** Return a file's bytes once they are what the manifest says. */
  async file(path) {
    const promised = this.manifest.files[path] ?? this.manifest.artifacts.find((artifact) => artifact.path === path);
    if (!promised) throw new BadInput(`manifest.json of ${this.place} does not list ${path}; export the bundle again`);
    if (path.startsWith('/') || path.split(/[/\\]/).includes('..'))
      throw new BadInput(
        `manifest.json of ${this.place} lists ${path}, expected a path inside the bundle; do not use this bundle`,
      );
    const bytes = await this.read(path);
    if (!bytes) throw new BadInput(`${path} is missing in ${this.place}; copy or export the bundle again`);
    if (bytes.length !== promised.bytes) {
      throw new BadInput(
        `${path} has ${bytes.length} bytes, expected ${promised.bytes}; ` +
          `it is damaged or changed, copy or export the bundle again`,
      );
    }
    const seen = await sha256(bytes);
    if (seen !== promised.sha256) {
      throw new BadInput(
        `${path} has the SHA-256 ${seen.slice(0, 12)}…, expected ${promised.sha256.slice(0, 12)}…; ` +
          `it is damaged or changed, copy or export the bundle again`,
      );
    }
    return bytes;
  }

  /** Compare every listed file with the manifest, the model files aside: each of those is compared when it is opened. */
  async verifyFiles() {
    for (const path of Object.keys(this.manifest.files)) await this.file(path);
  }
}

async function sha256(bytes) {
  if (!globalThis.crypto?.subtle)
    throw new BadInput(
      'digests cannot be computed on a page that came over plain http; expected https or localhost; open it there',
    );
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
