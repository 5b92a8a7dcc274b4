// Writing: one text, or two side by side from one state. A text is its snapshot and what was written: plain data.

import { attempt, download, element, onFile, tell } from './page.js';
import { nextSeed, readSeed } from './src/sampler.js';
import { drawState } from './state_strip.js';

const SLIDERS = ['temperature', 'top-k', 'top-p'];
const MOST_TEXTS = 2;
const TEXT_BOX = `
  <h3><b class="name"></b> <span class="rate"></span></h3>
  <p class="written" tabindex="0" role="region" aria-live="off"><span class="given"></span><span class="new"></span></p>
  <canvas class="strip" role="img" aria-label="The hidden state: a row per layer and state, a cell per unit"></canvas>`;

export function startTextPanel(engine) {
  let texts = [];
  for (const id of SLIDERS) element(id).addEventListener('input', () => showSlider(id));
  const show = () => {
    const boxes = texts.map(({ box }) => box);
    for (const old of [...element('texts').children]) if (!boxes.includes(old)) old.remove();
    element('texts').append(...boxes.filter((box) => !box.isConnected)); // what stands there keeps its place
    const running = texts.some(({ call }) => call);
    const ready = texts.length > 0 && texts.every(({ snapshot }) => snapshot) && !running;
    for (const id of ['continue', 'save']) element(id).disabled = !ready;
    element('fork').disabled = !ready || texts.length >= MOST_TEXTS;
    element('write').disabled = element('restore').disabled = running;
    element('stop').disabled = !running;
  };
  const writeAll = async (prompt) => {
    const [seed, length] = [readSeed(element('seed').value), wholeNumber('length', 1)];
    tell('Writing…');
    const jobs = texts.map((text) => write(engine, text, { prompt, seed, length }));
    show();
    const ends = await Promise.allSettled(jobs);
    show();
    const failed = ends.find(({ status }) => status === 'rejected');
    if (failed) throw failed.reason;
    tell(ends.map(({ value }) => value).join(' '));
  };

  element('write').addEventListener('click', () =>
    attempt(() => {
      texts = [newText('Text', element('prompt').value)];
      return writeAll(element('prompt').value);
    }),
  );
  element('prompt').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) element('write').click();
  });
  element('stop').addEventListener('click', () => texts.forEach(({ call }) => call && engine.stop(call.id)));
  element('continue').addEventListener('click', () => attempt(() => writeAll('')));
  element('fork').addEventListener('click', () =>
    attempt(() => {
      const [first] = texts;
      texts = [
        first,
        {
          ...newText('Fork', first.given, first.written),
          snapshot: { ...first.snapshot, seed: nextSeed(first.snapshot.seed) },
        },
      ];
      show();
      redraw(texts[1]);
      tell('Two texts from one state, the second with the next seed. Continue writes both.');
    }),
  );
  element('save').addEventListener('click', () =>
    attempt(async () => {
      const [{ snapshot, given, written }] = texts;
      download(await engine.call('save', { snapshot, text: given + written }), 'state.safetensors');
      tell(`The state after ${snapshot.position} tokens is saved.`);
    }),
  );
  onFile('restore', async ([file]) => {
    const { snapshot, text } = await engine.call('restore', { bytes: new Uint8Array(await file.arrayBuffer()) });
    texts = [{ ...newText('Restored', '', text), snapshot }];
    show();
    redraw(texts[0]);
    tell(`The state after ${snapshot.position} tokens is back. Continue goes on from it.`);
  });
  return {
    show: ({ decoding, vocabulary }) => {
      texts = [];
      element('top-k').max = vocabulary;
      const values = [decoding.temperature, decoding.top_k, decoding.top_p];
      SLIDERS.forEach((id, index) => {
        element(id).value = values[index];
        showSlider(id);
      });
      show();
    },
  };
}

function showSlider(id) {
  const { value } = element(id);
  element(`${id}-value`).textContent = id === 'top-k' && value === '0' ? 'all' : value;
}

function wholeNumber(id, least) {
  const { value } = element(id);
  if (!/^\d+$/.test(value) || Number(value) < least)
    throw new Error(`${id} is “${value}”, expected a whole number of ${least} or more; change it`);
  return Number(value);
}

function newText(name, given, written = '') {
  const box = document.createElement('article');
  box.className = 'text';
  box.innerHTML = TEXT_BOX;
  const [rate, shown, canvas] = ['.rate', '.new', '.strip'].map((name) => box.querySelector(name));
  box.querySelector('.name').textContent = name;
  box.querySelector('.written').setAttribute('aria-label', name);
  box.querySelector('.given').textContent = given;
  shown.textContent = written;
  return { name, given, written, snapshot: null, call: null, box, rate, shown, canvas };
}

/** Write one text on; returns how it went, in words. */
async function write(engine, text, { prompt, seed, length }) {
  const from = performance.now();
  let [count, first] = [0, 0];
  const [temperature, topK, topP] = SLIDERS.map((id) => Number(element(id).value));
  const options = { temperature, topK, topP, length };
  text.call = engine.call('write', { prompt, after: text.snapshot, seed, options }, ({ read, piece, tokens, snapshot }) => {
    if (read !== undefined) {
      if (prompt) text.box.querySelector('.given').textContent = text.given = read;
      return;
    }
    first ||= performance.now() - from;
    count += tokens.length;
    Object.assign(text, { snapshot, written: text.written + piece });
    text.shown.append(piece);
    text.rate.textContent = `${Math.round((count / (performance.now() - from)) * 1000).toLocaleString('en')} tokens/s`;
    redraw(text);
  });
  try {
    await text.call;
  } finally {
    text.call = null;
  }
  return `${text.name}: ${count} tokens, the first after ${Math.round(first)} ms, ${text.rate.textContent}.`;
}

function redraw({ shown, canvas, snapshot }) {
  const frame = shown.parentElement;
  frame.scrollTop = frame.scrollHeight;
  drawState(canvas, snapshot.state);
}
