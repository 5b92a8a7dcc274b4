// All computing happens here, so that the page stays responsive. The page sends { id, method, args } and hears { id, event },
// then { id, result } or { id, error }. States live on the page: what is kept here is the open model alone.

import * as ort from './vendor/ort.wasm.min.mjs';

import { Bundle } from './src/bundle.js';
import { caption } from './src/caption.js';
import { check } from './src/check.js';
import { BadInput, reason } from './src/errors.js';
import { begin, generate } from './src/generation.js';
import { imageTensor } from './src/picture.js';
import { Session } from './src/session.js';
import { fromFile, toFile } from './src/snapshot.js';
import { TextStream, Tokenizer } from './src/tokenizer.js';
import { openZip } from './src/zip.js';

ort.env.wasm.wasmPaths = new URL('./vendor/', import.meta.url).href;
ort.env.wasm.numThreads = 1; // more would need special headers, and a step is too small to share
const RUNTIME = { ort, options: { executionProviders: ['wasm'] } };
const SLICE_MS = 16; // how long to compute before others have their turn and the page hears of it

let model = null; // { session, tokenizer }
let turn = Promise.resolve(); // the runtime runs one call at a time
const writing = new Map(); // id of a text in work → { stopped }

function inTurn(action) {
  const mine = turn.then(action);
  turn = mine.catch(() => {});
  return mine;
}

const METHODS = {
  open: (args) => inTurn(() => open(args)),
  check: () => inTurn(() => check(model.session)),
  caption: ({ pixels }) => inTurn(() => captionOf(pixels)),
  write,
  save: ({ snapshot, text }) => toFile(model.session, snapshot, text),
  restore: ({ bytes }) => fromFile(model.session, bytes),
};

/** Open a bundle: { url }, { files: path → File } or { zip: File }; and one of its artifacts. Returns what the page shows. */
async function open({ source, place, artifact = null }) {
  for (const text of writing.values()) text.stopped = true; // their model goes
  const bundle = await Bundle.open(await reader(source, place), place, ort.env.versions.common);
  const session = await Session.load(bundle, artifact, RUNTIME);
  const tokenizer = await Tokenizer.load(bundle);
  await model?.session.release();
  model = { session, tokenizer };
  const { sizes } = bundle.contract;
  return {
    family: session.encoder ? 'captioner' : 'language',
    artifact: session.artifact.path,
    artifacts: bundle.choices.map(({ path, precision, bytes }) => ({ path, precision, bytes })),
    parameters: bundle.manifest.provenance?.parameters,
    decoding: bundle.manifest.decoding,
    vocabulary: session.vocabulary,
    states: session.states.map(({ name, axes }) => ({ name, dims: axes.map((axis) => sizes[axis] ?? 1) })),
  };
}

async function reader({ url, files, zip }, place) {
  if (zip) return openZip(new Uint8Array(await zip.arrayBuffer()), place);
  const limited = (path, size, most) => {
    if (size > most)
      throw new BadInput(`${path} of ${place} has ${size} bytes, expected ${most}; copy or export the bundle again`);
  };
  if (files)
    return async (path, most) => {
      const file = files.get(path);
      if (file) limited(path, file.size, most);
      return file ? new Uint8Array(await file.arrayBuffer()) : null;
    };
  return async (path, most) => {
    let response;
    try {
      response = await fetch(new URL(path, url));
    } catch {
      throw new BadInput(
        `${path} of ${place} could not be loaded: there is no network and no copy on this device; connect and try again`,
      );
    }
    limited(
      path,
      Number(response.headers.get('Content-Length') ?? 0),
      response.headers.get('Content-Encoding') ? Infinity : most,
    );
    return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
  };
}

/** Write text from a prompt, or on from a snapshot; tells { piece, tokens, snapshot } by slices, the first token at once. */
async function write({ prompt, after, seed, options }, id, tell) {
  const { session, tokenizer } = model;
  let snapshot = begin(session, tokenizer.encode(prompt), { after, seed });
  const tokens = generate(session, snapshot, options);
  const [text, stream] = [{ stopped: false }, new TextStream(tokenizer)];
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
    tell({ piece: made.map((token) => stream.push(token)).join(''), tokens: made, snapshot });
    await pause();
  }
  tell({ piece: stream.flush(), tokens: [], snapshot });
  return { snapshot };
}

async function captionOf(pixels) {
  const { session, tokenizer } = model;
  const [spec] = session.bundle.encode.inputs;
  return caption(session, tokenizer, imageTensor(pixels, spec, session.bundle.contract.sizes));
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
    if (!model && method !== 'open') throw new BadInput('no model is open; choose a bundle first');
    self.postMessage({ id, result: await METHODS[method](args, id, (event) => self.postMessage({ id, event })) });
  } catch (error) {
    const told =
      error instanceof BadInput
        ? error.message
        : `the runtime failed: ${reason(error)}; reload the page, or choose another bundle`;
    self.postMessage({ id, error: told });
  } finally {
    writing.delete(id);
  }
};
