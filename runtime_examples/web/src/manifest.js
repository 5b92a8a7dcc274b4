// manifest.json, held against what it must be, so that nothing that is used later can be missing or absurd. A manifest of version 1
// is read as if it were of version 2.

import { DTYPES, checkContract, graphOf, idsOf, ofRole } from './contract.js';
import { BundleError } from './errors.js';
import { expect, inner, list, number, object, oneOf, shown, table, text, whole } from './shapes.js';

export const SCHEMA_VERSIONS = [1, 2];
const MOST_BYTES = 2 ** 31 - 1; // of one file: protobuf, and so ONNX, allows no more
const MOST_SIZE = 2 ** 31 - 1;

const NAME = text(/^[A-Za-z][A-Za-z0-9_]*$/, 'a name'); // so never __proto__
const IDS = list(whole());
const SIZES = table(NAME, whole(1, MOST_SIZE));
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
const LIBRARY = object({ target: text(), path: inner }, { compiler: [text(), ''] }); // built of an artifact's C
const ARTIFACT = object(
  { path: inner, format: text(), precision: text(), ...DIGEST },
  {
    graph: [text(), 'step'],
    narrowing: [NARROWING, { axes: {}, dtypes: {}, runtime_state: false }],
    requires: [table(text(), text(/^[0-9]{1,9}(\.[0-9]{1,9}){0,3}$/, 'a version such as 1.23')), {}],
    tolerance: [number(0), null],
    forced: [oneOf(true, false), false],
    parity: [object({}, { tolerance: [number(0), null] }), {}],
    libraries: [list(LIBRARY), []],
  },
);
const DECODING = object(
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
);
const TOKENIZER = object(
  { kind: text(), vocabulary_size: whole(1) },
  { path: [inner, 'tokenizer.json'], text: [text(), ''], ids: [IDS, []] },
);
const FIRST_VALUES = {
  1: [oneOf('zeros', 'learned', 'encode'), 'zeros'], // a word for all states
  2: [table(NAME, oneOf('stored', 'encode')), {}], // zeros, where a state is not named
};

function manifestOf(version) {
  const contract = object(
    { graphs: list(GRAPH), sizes: SIZES },
    { initial_state: FIRST_VALUES[version], step_frames: [whole(1, MOST_SIZE), 1], latency_frames: [whole(0, MOST_SIZE), 0] },
  );
  const required = { contract, artifacts: list(ARTIFACT), files: table(inner, object(DIGEST)) };
  const optional = {
    golden: [inner, null],
    initial_state: [inner, null],
    sampler: [inner, null],
    provenance: [object({}, { parameters: [whole(), null] }), {}],
  };
  if (version === 1) return object({ ...required, decoding: DECODING, tokenizer: TOKENIZER }, optional);
  const second = { decoding: [DECODING, null], tokenizer: [TOKENIZER, null], labels: [table(NAME, list(text())), {}], family: [text(), null] };
  return object(required, { ...optional, ...second });
}

/** Return the manifest in a file's bytes (Uint8Array), with its defaults filled in; `place` names the bundle in messages. */
export function readManifest(bytes, place) {
  let manifest;
  try {
    manifest = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new BundleError(
      `manifest.json of ${place} is damaged (${error.message}); expected JSON; copy or export the bundle again`,
    );
  }
  const version = manifest?.schema_version;
  if (!SCHEMA_VERSIONS.includes(version)) {
    throw new BundleError(
      `manifest.json of ${place} has schema_version ${shown(version)}, expected ${SCHEMA_VERSIONS.join(' or ')}; ` +
        `export it with a matching edgernn`,
    );
  }
  try {
    manifestOf(version)(manifest, '');
    modernise(manifest);
    checkContract(manifest.contract);
    checkReferences(manifest);
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    throw new BundleError(`manifest.json of ${place} is damaged: ${error.message}; copy or export the bundle again`);
  }
  return manifest;
}

/** Say what version 1 says as version 2 does. */
function modernise(manifest) {
  const { contract, artifacts } = manifest;
  if (typeof contract.initial_state === 'string') {
    const kind = { learned: 'stored', encode: 'encode' }[contract.initial_state];
    const states = ofRole(graphOf(contract, 'step')?.inputs ?? [], 'state');
    contract.initial_state = Object.fromEntries(kind ? states.map(({ name }) => [name, kind]) : []);
  }
  for (const entry of artifacts.filter(({ tolerance }) => tolerance === null)) {
    entry.tolerance = entry.parity.tolerance ?? null;
    entry.forced = !entry.precision.startsWith('float');
  }
  manifest.decoding ??= {};
  DECODING(manifest.decoding, 'decoding');
}

/** Every file that is named is listed, and every id is one of the vocabulary. */
function checkReferences(manifest) {
  const { files, tokenizer, contract } = manifest;
  const { golden, initial_state, sampler } = manifest;
  const named = { golden, initial_state, sampler, 'tokenizer.path': tokenizer?.path ?? null };
  for (const [key, path] of Object.entries(named))
    expect(path === null || Object.hasOwn(files, path), key, path, 'a path that files lists');
  for (const { path: artifact, libraries } of manifest.artifacts)
    for (const { path } of libraries)
      expect(Object.hasOwn(files, path), `a library of ${artifact}`, path, 'a path that files lists');
  if (Object.values(contract.initial_state).includes('stored'))
    expect(initial_state !== null, 'initial_state', undefined, 'the file of the stored first values');
  if (tokenizer && idsOf(contract)) checkIds(manifest);
}

function checkIds({ tokenizer, decoding: { start, stop, suppress }, contract }) {
  const size = contract.sizes[idsOf(contract).below];
  expect(
    tokenizer.vocabulary_size === size,
    'tokenizer.vocabulary_size',
    tokenizer.vocabulary_size,
    `${size}, as the contract says`,
  );
  for (const [path, ids] of Object.entries({ start, stop, suppress, 'tokenizer.ids': tokenizer.ids })) {
    const outside = ids.find((id) => id >= size);
    expect(outside === undefined, `an id of ${path}`, outside, `0 to ${size - 1}`);
  }
  expect(start.length > 0, 'decoding.start', start, 'an id at least to begin with');
  expect(new Set(suppress).size < size, 'decoding.suppress', 'every id', 'one at least that may be written');
}
