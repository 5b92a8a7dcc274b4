// All computing happens here, so that the page stays responsive. The page sends { id, method, args } and hears { id, event },
// then { id, result } or { id, error }. States live on the page: what is kept here is the open model alone.

import { readerOf } from './readers.js';
import { Bundle } from './src/bundle.js';
import { answersOf, ask } from './src/asking.js';
import { caption } from './src/caption.js';
import { check } from './src/check.js';
import { follow, tokensAtOnce } from './src/comparing.js';
import { moduleOf } from './src/compiled.js';
import { sizeOf } from './src/contract.js';
import { BundleError, reason } from './src/errors.js';
import { feed, framesOf, look } from './src/frames.js';
import { generate, requireText, start } from './src/generation.js';
import { History } from './src/history.js';
import { imageTensor, pictureOf } from './src/picture.js';
import { Model } from './src/model.js';
import { paint, painterOf } from './src/painting.js';
import { labelsOf, readThrough } from './src/reading.js';
import { fromFile, toFile } from './src/snapshot.js';
import { timeSteps } from './src/timing.js';
import { TextStream, Tokenizer } from './src/tokenizer.js';
import { sourceOf, translate } from './src/translating.js';

// in WebAssembly the runtime has no fast kernels for integers
const RUNTIME = { load: loadRuntime, options: { executionProviders: ['wasm'] }, integersLast: true };
const MOST_TRACED = 400; // tokens of a text whose states are shown
const SLICE_MS = 16; // how long to compute before others have their turn and the page hears of it

let opened = null; // { model, tokenizer }: an open bundle
let turn = Promise.resolve(); // the runtime runs one call at a time
const writing = new Map(); // id of a text in work → { stopped }

/** Load onnxruntime, megabytes: a bundle whose step is a module does without. */
async function loadRuntime() {
  const ort = await import('./vendor/ort.wasm.min.mjs').catch(() => {
    throw new BundleError('the runtime did not start: its files were expected in vendor/; run: npm run vendor, then reload');
  });
  ort.env.wasm.wasmPaths = new URL('./vendor/', import.meta.url).href;
  ort.env.wasm.numThreads = 1; // more would need special headers, and a step is too small to share
  return ort;
}

function inTurn(action) {
  const mine = turn.then(action);
  turn = mine.catch(() => {});
  return mine;
}

const METHODS = {
  open: (args) => inTurn(() => open(args)),
  check: () => inTurn(() => check(opened.model)),
  time: () => inTurn(time),
  caption: ({ pixels }) => inTurn(() => captionOf(pixels)),
  ask: ({ pixels, question }) => inTurn(() => answerTo(pixels, question)),
  translate: ({ text }, id, tell) => translated(text, tell),
  read: ({ text }, id, tell) => labelled(text, tell),
  feed: ({ frames, state }) => inTurn(() => feed(opened.model, frames, state)),
  look: ({ pixels, times }) => inTurn(() => look(opened.model, pixels, times)),
  paint: (asked) => inTurn(() => paint(opened.model, asked)),
  write,
  encode: ({ text }) => ({ ids: readable(text), atOnce: tokensAtOnce(opened.model) }),
  spell: ({ ids }) => ids.map((id) => opened.tokenizer.decode([id])),
  follow: ({ ids, state }) => inTurn(() => follow(opened.model, ids, state ?? opened.model.firstState())),
  trace: ({ text }) => inTurn(() => traced(text)),
  save: ({ snapshot, text }) => toFile(opened.model, snapshot, text),
  restore: ({ bytes }) => fromFile(opened.model, bytes),
};

/** Open a bundle: { url }, { files: path → File } or { zip: File }; and one of its artifacts. Returns what the page shows. */
async function open({ source, place, artifact = null }) {
  for (const text of writing.values()) text.stopped = true; // their model goes
  const bundle = await Bundle.open(await readerOf(source, place), place);
  const model = await Model.load(bundle, artifact, RUNTIME);
  const tokenizer = bundle.manifest.tokenizer ? await Tokenizer.load(bundle) : null;
  await opened?.model.release();
  opened = { model, tokenizer };
  return {
    family: familyOf(model),
    artifact: model.artifact.path,
    precision: model.artifact.precision,
    reads: digestOf(bundle.manifest, bundle.manifest.tokenizer?.path),
    artifacts: bundle.choices.map((each) => ({ path: each.path, precision: each.precision, ...carrierOf(bundle, each) })),
    parameters: bundle.manifest.provenance?.parameters,
    decoding: bundle.manifest.decoding,
    vocabulary: model.vocabulary,
    answers: answersOf(model),
    paints: painterOf(model)?.labels ?? null,
    frames: takesOf(model),
    reader: labelsOf(model) && saidBy(labelsOf(model)),
    takes: model.inputs.map(({ name, dtype, axes }) => `${name}, ${dtype} [${axes.join(', ')}]`),
    states: statesOf(model),
  };
}

/** What a model that labels texts says, as the page shows it. */
function saidBy({ labels, late, each }) {
  return { labels, late, each };
}

function statesOf({ states, contract: { sizes } }) {
  return states.map(({ name, axes }) => ({ name, axes, dims: axes.map((axis) => sizeOf(sizes, axis, 1)) }));
}

/** What a model of frames takes, as the page shows it; null where it is none. */
function takesOf(model) {
  const takes = framesOf(model);
  if (!takes) return null;
  const { kind, width, labels, late, input, output } = takes;
  const { height, width: wide, channels } = model.contract.sizes;
  return { kind, labels, late, input: input.name, output: output.name, width, picture: { height, width: wide, channels } };
}

function digestOf({ files }, path) {
  return path ? files[path].sha256 : null;
}

/** What runs an artifact, and the bytes of its file. */
function carrierOf(bundle, artifact) {
  const module = moduleOf(artifact);
  return module
    ? { runtime: 'WebAssembly module', bytes: bundle.manifest.files[module.path].bytes, slow: false }
    : { runtime: 'onnxruntime-web', bytes: artifact.bytes, slow: bundle.isSlow(artifact) };
}

/** Time a step of every model file of the bundle. */
async function time() {
  const { bundle } = opened.model;
  const models = [];
  try {
    for (const { path } of bundle.choices) models.push(await Model.load(bundle, path, RUNTIME));
    const times = await timeSteps(models);
    return models.map(({ artifact }, at) => ({ path: artifact.path, ...carrierOf(bundle, artifact), ...times[at] }));
  } finally {
    for (const model of models) await model.release();
  }
}

/**
 * What the page can do with a model: 'language', 'captioner', 'answerer', 'painter', 'translator', 'reader', 'frames', 'looker', or
 * 'module': check it and time it.
 */
function familyOf(model) {
  if (answersOf(model)) return 'answerer';
  if (painterOf(model)) return 'painter';
  if (sourceOf(model)) return 'translator';
  if (labelsOf(model)) return 'reader';
  if (framesOf(model)) return framesOf(model).kind === 'looks' ? 'looker' : 'frames';
  try {
    requireText(model);
  } catch {
    return 'module';
  }
  return pictureOf(model) ? 'captioner' : model.encoder ? 'module' : 'language';
}

/**
 * Write text from a prompt, or on from a snapshot; tells { read }, the prompt as the model reads it, then
 * { piece, tokens, snapshot } by slices, the first token at once.
 */
async function write({ prompt, after, seed, options }, id, tell) {
  const { model, tokenizer } = opened;
  const ids = tokenizer.encode(prompt);
  let snapshot = start(model, ids, { after, seed });
  const tokens = generate(model, snapshot, options);
  const [text, stream] = [{ stopped: false }, TextStream.after(tokenizer, after?.pending ?? [])];
  tell({ read: stream.pushAll(ids) });
  writing.set(id, text);
  let [ended, first] = [false, true];
  while (!ended && !text.stopped) {
    const made = await inTurn(async () => {
      const written = [];
      const until = first ? 0 : performance.now() + SLICE_MS;
      if (text.stopped) return written;
      do {
        const { value, done } = await tokens.next();
        ended = done;
        if (!done) ({ snapshot } = value);
        if (!done) written.push(value.token);
      } while (!ended && performance.now() < until);
      return written;
    });
    first = false;
    tell({ piece: stream.pushAll(made), tokens: made, snapshot });
    await pause();
  }
  tell({ piece: stream.flush(), tokens: [], snapshot });
  return { snapshot };
}

/** The ids of a prompt, or where it is empty what the model begins with. */
function readable(text) {
  const ids = opened.tokenizer.encode(text);
  return ids.length ? ids : opened.model.bundle.manifest.decoding.start;
}

/** The state over the tokens of a text: { rows, labels } of History, and how many tokens were left unread. */
async function traced(text) {
  const { model, tokenizer } = opened;
  const [ids, history] = [readable(text), new History(statesOf(model), MOST_TRACED)];
  let state = model.firstState();
  for (const id of ids.slice(0, history.most)) {
    ({ state } = await model.step({ [model.ids.name]: model.idTensor([id]) }, state));
    history.push(state, tokenizer.decode([id]));
  }
  return { rows: history.rows(), labels: history.labels, left: Math.max(0, ids.length - history.most) };
}

/**
 * Label a text while it is read; tells { tokens } first, then { said } by slices: the shares of the labels at each token. Returns what
 * `traced` does. Another model that is opened ends it.
 */
async function labelled(text, tell) {
  const { model, tokenizer } = opened;
  const all = tokenizer.read(text);
  const tokens = all.slice(0, MOST_TRACED);
  const steps = readThrough(
    model,
    tokens.map(({ id }) => id),
  );
  const history = new History(statesOf(model), Infinity);
  let [ended, at] = [false, 0];
  tell({ tokens });
  while (!ended) {
    const said = await inTurn(async () => {
      const [made, until] = [[], performance.now() + SLICE_MS];
      do {
        const { value, done } = opened.model === model ? await steps.next() : { done: true };
        ended = done;
        if (!done) history.push(value.state, tokens[at++]?.text ?? '');
        if (value?.shares) made.push(value.shares);
      } while (!ended && performance.now() < until);
      return made;
    });
    if (said.length) tell({ said });
    await pause();
  }
  return { rows: history.rows(), labels: history.labels, first: history.first, left: all.length - tokens.length };
}

async function captionOf(pixels) {
  const { model, tokenizer } = opened;
  return caption(model, tokenizer, imageTensor(pixels, pictureOf(model), model.contract.sizes));
}

async function answerTo(pixels, question) {
  const { model, tokenizer } = opened;
  return ask(model, tokenizer, imageTensor(pixels, pictureOf(model), model.contract.sizes), question);
}

/** Translate a text; tells of each character as it is written, until another model is open. */
async function translated(text, tell) {
  const { model, tokenizer } = opened;
  const written = translate(model, tokenizer, text);
  for (;;) {
    const { value, done } = await inTurn(() => (opened.model === model ? written.next() : { done: true }));
    if (done) return;
    tell(value);
    await pause();
  }
}

/** Let waiting messages in, without the delay of a timer. */
function pause() {
  return new Promise((resume) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resume();
    };
    port2.postMessage(null);
  });
}

self.onmessage = async ({ data: { id, method, args } }) => {
  if (method === 'stop') {
    if (writing.has(args.id)) writing.get(args.id).stopped = true;
    return;
  }
  try {
    if (!opened && method !== 'open') throw new BundleError('no model is open; choose a bundle first');
    self.postMessage({ id, result: await METHODS[method](args, id, (event) => self.postMessage({ id, event })) });
  } catch (error) {
    const told =
      error instanceof BundleError
        ? error.message
        : `the runtime failed: ${reason(error)}; reload the page, or choose another bundle`;
    self.postMessage({ id, error: told });
  } finally {
    writing.delete(id);
  }
};
