// manifest.json, held against what it must be, so that nothing that is used later can be missing or absurd. Every shape is a
// function of a value and of where it stands; it throws BadInput.

import { BadInput } from './errors.js';

export const SCHEMA_VERSION = 1;
const MOST_BYTES = 2 ** 31 - 1; // of one file: protobuf, and so ONNX, allows no more
const MOST_ELEMENTS = 2 ** 28; // of one tensor
const DTYPES = ['float16', 'float32', 'int32', 'int64', 'uint8'];
const SHOWN = 60;

/** Return the manifest in a file's bytes (Uint8Array), with its defaults filled in; `place` names the bundle in messages. */
export function readManifest(bytes, place) {
  let manifest;
  try {
    manifest = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new BadInput(
      `manifest.json of ${place} is damaged (${error.message}); expected JSON; copy or export the bundle again`,
    );
  }
  const version = manifest?.schema_version;
  if (version !== SCHEMA_VERSION) {
    throw new BadInput(
      `the bundle ${place} has schema_version ${shown(version)}, expected ${SCHEMA_VERSION}; export it with a matching edgernn`,
    );
  }
  try {
    MANIFEST(manifest, '');
    recallPromises(manifest);
    checkContract(manifest.contract);
    checkReferences(manifest);
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    throw new BadInput(`manifest.json of ${place} is damaged: ${error.message}; copy or export the bundle again`);
  }
  return manifest;
}

/** Give each file the tolerance of its golden run where an older bundle has it in `parity`. */
function recallPromises({ artifacts }) {
  for (const entry of artifacts.filter(({ tolerance }) => tolerance === null)) {
    entry.tolerance = entry.parity.tolerance ?? null;
    entry.forced = !entry.precision.startsWith('float');
  }
}

/** Whether a path of the manifest stays in the bundle, on every system. */
export function isInside(path) {
  return !/[\\:\p{C}]/u.test(path) && path.split('/').every((part) => !['', '.', '..'].includes(part));
}

function shown(value) {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)}…`;
}

function expect(holds, path, value, wanted) {
  if (!holds) throw new BadInput(`${path.replace(/^\./, '') || 'it'} is ${shown(value)}, expected ${wanted}`);
}

const text =
  (pattern = /^/, wanted = 'text') =>
  (value, path) =>
    expect(typeof value === 'string' && pattern.test(value), path, value, wanted);

const whole =
  (least = 0, most = Number.MAX_SAFE_INTEGER) =>
  (value, path) =>
    expect(Number.isInteger(value) && value >= least && value <= most, path, value, `a whole number from ${least} to ${most}`);

const number =
  (least, most = Number.MAX_VALUE) =>
  (value, path) =>
    expect(typeof value === 'number' && value >= least && value <= most, path, value, `a number from ${least} to ${most}`);

const oneOf =
  (...values) =>
  (value, path) =>
    expect(values.includes(value), path, value, `one of ${values.join(', ')}`);

const list = (item) => (value, path) => {
  expect(Array.isArray(value), path, value, 'a list');
  value.forEach((each, index) => item(each, `${path}[${index}]`));
};

const table = (key, item) => (value, path) => {
  expectObject(value, path);
  for (const [name, each] of Object.entries(value)) {
    key(name, `a key of ${path.replace(/^\./, '')}`);
    item(each, `${path}.${name}`);
  }
};

/** An object; what is optional comes as [shape, default], which is filled in where it is absent. */
const object =
  (required, optional = {}) =>
  (value, path) => {
    expectObject(value, path);
    for (const [name, item] of Object.entries(required)) {
      expect(Object.hasOwn(value, name), `${path}.${name}`, undefined, 'a value');
      item(value[name], `${path}.${name}`);
    }
    for (const [name, [item, fallback]] of Object.entries(optional)) {
      if (Object.hasOwn(value, name) && value[name] !== null) item(value[name], `${path}.${name}`);
      else value[name] = structuredClone(fallback);
    }
  };

function expectObject(value, path) {
  expect(typeof value === 'object' && value !== null && !Array.isArray(value), path, value, 'an object');
}

const inner = (value, path) => expect(typeof value === 'string' && isInside(value), path, value, 'a path inside the bundle');
const NAME = text(/^[A-Za-z][A-Za-z0-9_]*$/, 'a name'); // so never __proto__
const IDS = list(whole());
const SIZES = table(NAME, whole(1, 2 ** 31 - 1));
const DIGEST = { bytes: whole(0, MOST_BYTES), sha256: text(/^[0-9a-f]{64}$/, '64 hexadecimal digits') };
const TENSOR = object(
  { name: NAME, role: oneOf('input', 'context', 'state', 'output'), dtype: oneOf(...DTYPES), axes: list(NAME) },
  { below: [NAME, null] },
);
const GRAPH = object({ name: oneOf('encode', 'step'), inputs: list(TENSOR), outputs: list(TENSOR) });
const NARROWING = object(
  {},
  { axes: [SIZES, {}], dtypes: [table(NAME, text()), {}], runtime_state: [oneOf(true, false), false] },
);
const ARTIFACT = object(
  { path: inner, format: text(), precision: text(), ...DIGEST },
  {
    graph: [text(), 'step'],
    narrowing: [NARROWING, { axes: {}, dtypes: {}, runtime_state: false }],
    requires: [table(text(), text(/^[0-9]{1,9}(\.[0-9]{1,9}){0,3}$/, 'a version such as 1.23')), {}],
    tolerance: [number(0), null],
    forced: [oneOf(true, false), false],
    parity: [object({}, { tolerance: [number(0), null] }), {}],
  },
);
const MANIFEST = object(
  {
    contract: object({ graphs: list(GRAPH), sizes: SIZES }, { initial_state: [oneOf('zeros', 'learned', 'encode'), 'zeros'] }),
    decoding: object(
      {},
      {
        start: [IDS, [0]],
        temperature: [number(0), 0.8],
        top_k: [whole(), 0],
        top_p: [number(Number.MIN_VALUE, 1), 1],
        stop: [IDS, []],
        suppress: [IDS, []],
        length: [whole(), 0],
      },
    ),
    artifacts: list(ARTIFACT),
    tokenizer: object(
      { kind: text(), vocabulary_size: whole(1) },
      { path: [inner, 'tokenizer.json'], text: [text(), ''], ids: [IDS, []] },
    ),
    files: table(inner, object(DIGEST)),
  },
  {
    golden: [inner, null],
    initial_state: [inner, null],
    sampler: [inner, null],
    provenance: [object({}, { parameters: [whole(), null] }), {}],
  },
);

/** A step graph of one row that reads tokens, gives their logits, and returns every state that it takes. */
function checkContract({ graphs, sizes, initial_state: first }) {
  const named = new Map(graphs.map((graph) => [graph.name, graph]));
  expect(named.has('step') && named.size === graphs.length, 'contract.graphs', [...named.keys()], 'step, once');
  for (const { name, inputs, outputs } of graphs) {
    for (const [side, tensors] of Object.entries({ inputs, outputs })) {
      const names = tensors.map((tensor) => tensor.name);
      expect(names.length && new Set(names).size === names.length, `contract.${name}.${side}`, names, 'names, each once');
      for (const { name: tensor, axes } of tensors) {
        const open = axes.filter((axis) => !Object.hasOwn(sizes, axis) && axis !== 'batch' && axis !== 'time');
        expect(!open.length, `contract.sizes, for ${tensor},`, open, 'a size of every axis');
        const elements = axes.reduce((count, axis) => count * (sizes[axis] ?? 1), 1);
        expect(elements <= MOST_ELEMENTS, `the size of ${tensor}`, elements, `at most ${MOST_ELEMENTS} elements`);
      }
    }
  }
  checkStep(named.get('step'), named.get('encode'), sizes, first);
}

function checkStep(step, encode, sizes, first) {
  const fresh = step.inputs.filter(({ role }) => role === 'input');
  const [tokens] = fresh;
  const good = fresh.length === 1 && String(tokens.axes) === 'batch,time' && tokens.dtype === 'int64';
  expect(
    good && tokens.below && Object.hasOwn(sizes, tokens.below),
    'contract.step.inputs',
    fresh,
    'one input of ids [batch, time]',
  );
  const logits = step.outputs.filter(({ role, axes }) => role === 'output' && String(axes) === `batch,time,${tokens.below}`);
  expect(
    logits.length === 1,
    'contract.step.outputs',
    logits.map(({ name }) => name),
    'one output [batch, time, vocab]',
  );
  for (const { name, role, axes } of step.inputs) {
    if (role === 'state') {
      const after = step.outputs.find((tensor) => tensor.name === `${name}_next`);
      expect(String(after?.axes) === String(axes), `contract.step.outputs.${name}_next`, after, `axes ${axes}`);
    }
    if (role === 'context' || (role === 'state' && first === 'encode'))
      expect(
        encode?.outputs.some((tensor) => tensor.name === name),
        `contract.encode.outputs.${name}`,
        undefined,
        'what step takes',
      );
  }
}

/** Every file that is named is listed, and every id is one of the vocabulary. */
function checkReferences(manifest) {
  const { files, tokenizer, decoding, contract } = manifest;
  for (const [key, path] of Object.entries({
    golden: manifest.golden,
    initial_state: manifest.initial_state,
    sampler: manifest.sampler,
    'tokenizer.path': tokenizer.path,
  }))
    expect(path === null || Object.hasOwn(files, path), key, path, 'a path that files lists');
  if (contract.initial_state === 'learned')
    expect(manifest.initial_state !== null, 'initial_state', undefined, 'the file of the learned state');
  const step = contract.graphs.find(({ name }) => name === 'step');
  const size = contract.sizes[step.inputs.find(({ role }) => role === 'input').below];
  expect(
    tokenizer.vocabulary_size === size,
    'tokenizer.vocabulary_size',
    tokenizer.vocabulary_size,
    `${size}, as the contract says`,
  );
  const { start, stop, suppress } = decoding;
  for (const [path, ids] of Object.entries({ start, stop, suppress, 'tokenizer.ids': tokenizer.ids })) {
    const outside = ids.find((id) => id >= size);
    expect(outside === undefined, `an id of ${path}`, outside, `0 to ${size - 1}`);
  }
  expect(new Set(suppress).size < size, 'decoding.suppress', 'every id', 'one at least that may be written');
}
