// A step that a bundle has as a WebAssembly module: kilobytes that need no runtime. A module imports nothing, so it can do nothing
// but compute; it is opened once its SHA-256 is the manifest's, and what it says of itself is what the contract says.

import { BundleError, reason } from './errors.js';
import { arrayType } from './safetensors.js';

export const FORMAT = 'c';
const TARGETS = ['wasm-relaxed', 'wasm']; // the faster one first, where this machine knows its instructions
const SECTION = 'edgernn'; // in which a module names its tensors
const MOST_SECTION_BYTES = 2 ** 20;
// A module whose f() is a relaxed dot product, 4 * (-2 * 3) + 7. V8 11.3, of node 20, knows the instruction under a flag and
// computes another number.
const RELAXED = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 22, 1, 20, 0],
  ...[65, 126, 253, 15, 65, 3, 253, 15, 65, 7, 253, 17, 253, 147, 2, 253, 27, 0, 11],
);
const PRODUCT = -17;
let relaxed; // whether this machine has relaxed dot products, once that is known

/** The library of an artifact that runs on this machine, { target, path, compiler }, or undefined. */
export function moduleOf({ format, libraries }) {
  if (format !== FORMAT) return undefined;
  const known = TARGETS.filter((target) => target !== 'wasm-relaxed' || (relaxed ??= hasRelaxed()));
  return known.map((target) => libraries.find((library) => library.target === target)).find(Boolean);
}

function hasRelaxed() {
  if (!WebAssembly.validate(RELAXED)) return false;
  return new WebAssembly.Instance(new WebAssembly.Module(RELAXED)).exports.f() === PRODUCT;
}

/** Open an artifact's module; see `Module.run`. */
export async function openModule(bundle, artifact) {
  const { path } = moduleOf(artifact);
  const bytes = await bundle.file(path);
  const sizes = { ...bundle.contract.sizes, ...artifact.narrowing.axes };
  try {
    const compiled = await WebAssembly.compile(bytes);
    const imports = WebAssembly.Module.imports(compiled);
    if (imports.length) throw new Error(`it imports ${imports.map(({ module, name }) => `${module}.${name}`)}, expected nothing`);
    checkTold(WebAssembly.Module.customSections(compiled, SECTION), bundle.graph(artifact.graph), sizes);
    const { exports } = await WebAssembly.instantiate(compiled, {});
    return new Module(exports, bundle.graph(artifact.graph), sizes, path);
  } catch (error) {
    throw new BundleError(
      `the module ${path} cannot be used: ${reason(error)}; choose another artifact or export the bundle again`,
    );
  }
}

/** Throw where what a module says of its tensors is not the contract. */
function checkTold(sections, { name, inputs, outputs }, sizes) {
  const [section] = sections;
  if (sections.length !== 1 || section.byteLength > MOST_SECTION_BYTES)
    throw new Error(`it has ${sections.length} sections ${SECTION}, expected one that names its tensors`);
  const found = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(section));
  const plain = (tensors) => tensors.map((tensor) => ({ name: tensor.name, dtype: tensor.dtype, dims: dimsOf(tensor, sizes) }));
  const wanted = { graph: name, inputs: plain(inputs), outputs: plain(outputs) };
  for (const [part, value] of Object.entries(wanted)) {
    const [said, expected] = [found?.[part], value].map((each) => JSON.stringify(each) ?? 'nothing');
    if (said !== expected) throw new Error(`it has the ${part} ${said.slice(0, 200)}, and the contract ${expected.slice(0, 200)}`);
  }
}

function dimsOf({ axes }, sizes) {
  return axes.map((axis) => (Object.hasOwn(sizes, axis) ? sizes[axis] : null));
}

/** A module and its buffers: `run` copies in, steps, and copies out; nothing is remembered in between. */
class Module {
  constructor(exports, { inputs, outputs }, sizes, path) {
    if (!(exports.memory instanceof WebAssembly.Memory)) throw new Error('it exports no memory');
    for (const name of ['run', 'input', 'output'])
      if (typeof exports[name] !== 'function') throw new Error(`it exports no function ${name}`);
    const views = (tensors, place) => tensors.map((tensor, at) => viewOf(exports.memory, tensor, dimsOf(tensor, sizes), place(at)));
    this.path = path;
    this.step = exports.run;
    this.inputs = views(inputs, exports.input);
    this.outputs = views(outputs, exports.output);
  }

  /** Run the graph over tensors by name; returns every output by name. */
  run(feeds) {
    for (const { name, dtype, dims, view } of this.inputs) {
      const given = feeds[name];
      if (given?.dtype !== dtype || !isSame(given.dims, dims))
        throw new Error(`${name} is ${given ? `${given.dtype} [${given.dims}]` : 'missing'}, and it takes ${dtype} [${dims}]`);
      view.set(given.data);
    }
    const code = this.step();
    if (code !== 0) throw new Error(`it returns ${code}, expected 0; its header says what that means`);
    const made = {};
    for (const { name, dtype, dims, view } of this.outputs) made[name] = { dtype, dims: [...dims], data: view.slice() };
    return made;
  }

  release() {}
}

function isSame(one, other) {
  return one.length === other.length && one.every((size, at) => size === other[at]);
}

/** A tensor's elements in the module's memory, once they are known to lie in it. */
function viewOf(memory, { name, dtype }, dims, address) {
  const [Type, count] = [arrayType(dtype), dims.reduce((product, size) => product * size, 1)];
  const end = address + count * Type.BYTES_PER_ELEMENT;
  if (!Number.isInteger(address) || address <= 0 || address % Type.BYTES_PER_ELEMENT || end > memory.buffer.byteLength)
    throw new Error(`${name} lies at ${address}, expected a place in its memory of ${memory.buffer.byteLength} bytes`);
  return { name, dtype, dims, view: new Type(memory.buffer, address, count) };
}
