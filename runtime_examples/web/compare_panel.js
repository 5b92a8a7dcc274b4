// Two bundles, or two model files of one, on the same text: what each writes greedily from a prompt, where those texts part, and how
// far apart the two are after every token of the first text. The second model has a worker of its own; no state goes between them.

import { bundleAt } from './address.js';
import { distances, writeGreedily } from './compare_run.js';
import { LEFT, drawDivergences, short } from './divergence_plot.js';
import { Engine } from './engine.js';
import { attempt, element, onFile, tell } from './page.js';
import { parting, sameTokens } from './src/comparing.js';

const CONTEXT = 16; // tokens before the one pointed at that are shown
const MOST_TOKENS = 2000;

export function startComparePanel(engine) {
  const [choice, plot, slider, told, box] = [
    'compare-with',
    'compare-plot',
    'compare-token',
    'compare-told',
    'compare-result',
  ].map(element);
  let [first, second, run, found] = [null, null, 0, null]; // second: { engine, model, place }
  const end = () => {
    run += 1;
    second?.engine.end();
    [second, found] = [null, null];
    box.hidden = true;
  };
  /** Open the second model; null where `goes` no longer holds by then. */
  const openSecond = async (goes) => {
    const wanted = choice.selectedOptions[0]?.wanted;
    if (!wanted) throw new Error('there is no second model to compare with; open a second bundle');
    const own = new Engine();
    try {
      const model = await own.call('open', wanted);
      if (!goes()) {
        own.end();
        return null;
      }
      refuseOthers(first, { model, place: wanted.place });
      return { engine: own, model, place: wanted.place };
    } catch (error) {
      own.end();
      throw error;
    }
  };
  const compare = async (mine) => {
    const [length, prompt] = [whole('compare-length', MOST_TOKENS), element('compare-prompt').value];
    tell('Comparing…');
    if (!second) {
      const made = await openSecond(() => mine === run);
      if (!made) return;
      second = made;
    }
    const engines = [engine, second.engine];
    const texts = await Promise.all(engines.map((each) => writeGreedily(each, prompt, length)));
    const { ids, atOnce } = await engine.call('encode', { text: prompt });
    const read = [...ids, ...texts[0].tokens];
    const made = await distances(engines, read, { atOnce, goes: () => mine === run });
    if (mine !== run) return;
    const pieces = await engine.call('spell', { ids: read });
    found = { ...made, pieces, texts, prompt: ids.length, parts: parting(texts[0].tokens, texts[1].tokens) };
    show();
  };
  const show = () => {
    box.hidden = false;
    const names = [first, second].map(({ model, place }) => `${place}, ${model.precision}`);
    [...element('compare-texts').children].forEach((each, at) => fill(each, names[at], found.texts[at], found.parts));
    slider.max = found.values.length;
    slider.value = worstOf(found) + 1;
    element('compare-summary').textContent = summary(found);
    plot.setAttribute('aria-label', `Divergence after each token: ${summary(found)}`);
    point();
    tell(`Compared ${names.join(' with ')}.`);
  };
  const point = () => {
    if (!found) return;
    const at = Number(slider.value) - 1;
    drawDivergences(plot, found.values, { marked: found.parts === null ? null : found.prompt + found.parts - 1, pointed: at });
    element('compare-token-value').textContent = `${at + 1} of ${found.values.length}`;
    const before = found.pieces.slice(Math.max(0, at - CONTEXT + 1), at + 1).join('');
    told.textContent = `After token ${at + 1}, “${at >= CONTEXT ? '…' : ''}${before}”: ${short(found.values[at])} nats.`;
  };
  const add = (wanted) => {
    choice.append(Object.assign(new Option(wanted.place, '', true, true), { wanted }));
    end();
    tell(`Compare opens ${wanted.place}.`);
  };

  choice.addEventListener('change', end);
  slider.addEventListener('input', point);
  addEventListener('resize', point);
  plot.addEventListener('pointermove', ({ offsetX }) => {
    if (!found) return;
    slider.value = 1 + Math.floor(((offsetX - LEFT) / (plot.clientWidth - LEFT)) * found.values.length);
    point();
  });
  onFile('compare-zip', async ([zip]) => add({ source: { zip }, place: zip.name }));
  element('compare-address-form').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(() => add(bundleAt(element('compare-address').value)));
  });
  element('compare-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const mine = ++run;
    element('compare-go').disabled = true;
    await attempt(() =>
      compare(mine).catch((error) => {
        if (mine === run) throw error; // else what was compared is open no longer
      }),
    );
    element('compare-go').disabled = false;
  });
  return {
    reset: (model, from) => {
      end();
      first = { model, place: from.place };
      choice.replaceChildren(...secondsOf(model, from));
    },
    end,
  };
}

/** What there is to compare with: the other model files of the bundle, then the bundles of the list. */
function secondsOf(model, { source, place }) {
  const files = model.artifacts
    .filter(({ path }) => path !== model.artifact)
    .map(({ path, precision }) => [`${precision} of this bundle (${path})`, { source, place, artifact: path }]);
  const bundles = [...element('bundle').options]
    .filter(({ value, text }) => value && text !== place)
    .map(({ value, text }) => [text, { source: { url: new URL(value, location.href).href }, place: text }]);
  return [...files, ...bundles].map(([text, wanted]) => Object.assign(new Option(text), { wanted }));
}

function refuseOthers(first, second) {
  if (second.model.family !== 'language')
    throw new Error(`${second.place} writes no text, expected a language model as ${first.place} is; choose another`);
  if (!sameTokens(first.model, second.model))
    throw new Error(
      `${second.place} reads other tokens (${second.model.vocabulary}) than ${first.place} (${first.model.vocabulary}), ` +
        `expected the same tokenizer; choose another`,
    );
}

/** Put a text under its name, what comes after the parting marked. */
function fill(box, name, { tokens, text, pieces }, parts) {
  const until = parts === null ? text.length : pieces.slice(0, parts).join('').length;
  box.querySelector('.name').textContent = name;
  box.querySelector('.rate').textContent = `${tokens.length} tokens`;
  box.querySelector('.written').setAttribute('aria-label', name);
  box.querySelector('.same').textContent = text.slice(0, until);
  box.querySelector('mark').textContent = text.slice(until);
}

function worstOf({ values }) {
  return values.indexOf(Math.max(...values));
}

function summary({ values, same, texts, parts, pieces, prompt }) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const next = texts.map(({ pieces: own }) => (own[parts] === undefined ? 'the end' : `“${own[parts]}”`));
  const greedy =
    parts === null
      ? `Both write the same ${texts[0].tokens.length} tokens.`
      : `The texts are the same for ${parts} tokens, then part: ${next.join(' and ')}.`;
  const worst = pieces.slice(Math.max(0, worstOf({ values }) - CONTEXT + 1), worstOf({ values }) + 1).join('');
  return (
    `${greedy} Over the ${values.length} tokens of the first text (${prompt} of the prompt) the second is ${short(mean)} nats a token ` +
    `from the first in the mean, ${short(Math.max(...values))} at worst, after “${worst}”; the likeliest next token is the same after ` +
    `${((100 * same) / values.length).toFixed(1)} % of them.`
  );
}

function whole(id, most) {
  const { value } = element(id);
  if (!/^\d+$/.test(value) || Number(value) < 1 || Number(value) > most)
    throw new Error(`tokens are “${value}”, expected a whole number from 1 to ${most}; change it`);
  return Number(value);
}
