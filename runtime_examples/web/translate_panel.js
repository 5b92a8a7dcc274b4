// A text, and what it is in other words, as it is written: with where the model looked for each character.

import { attempt, element, tell } from './page.js';

const SPACE = '\u2423'; // how a space is shown where it is looked at

export function startTranslatePanel(engine) {
  const [text, read, written, where] = ['source-text', 'source-read', 'target-written', 'translate-where'].map(element);
  let [source, made, pinned, number] = [[], [], null, 0];
  const look = (index) => {
    const one = made[index];
    [...written.children].forEach((button, at) => button.setAttribute('aria-pressed', String(at === index)));
    [...read.children].forEach((mark, at) => mark.style.setProperty('--light', one?.attention?.[at] ?? 0));
    where.textContent = one?.attention ? describe(one, source) : one ? 'This model has no attention to show.' : '';
  };
  const add = (one) => {
    const index = made.push(one) - 1;
    const button = Object.assign(document.createElement('button'), { textContent: shown(one.character) });
    if (one.character === ' ') button.title = 'a space';
    for (const event of ['pointerenter', 'focus']) button.addEventListener(event, () => look(index));
    button.addEventListener('pointerleave', () => look(pinned));
    button.addEventListener('click', () => look((pinned = index)));
    written.append(button);
    look((pinned = index));
  };
  const clear = () => {
    [source, made, pinned] = [[], [], null];
    read.replaceChildren();
    written.replaceChildren();
    look(null);
  };
  const translate = async () => {
    clear();
    const [mine, given] = [++number, text.value.trim()];
    if (!given) throw new Error('there is no text; type one');
    source = [...given];
    const mark = (character) => Object.assign(document.createElement('span'), { textContent: shown(character) });
    read.replaceChildren(...source.map(mark));
    tell('Reading…');
    await engine.call('translate', { text: given }, (one) => mine === number && add(one));
    if (mine === number) tell(`Translation: ${made.map(({ character }) => character).join('')}`);
  };

  element('translate-form').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(translate);
  });
  return {
    show: () => {
      number++;
      clear();
      where.textContent = 'The translation will stand here, character by character: point at one to see where the model looked.';
    },
  };
}

function shown(character) {
  return character === ' ' ? SPACE : character;
}

/** Say where a character was looked for, for those who do not see the shading. */
function describe({ character, attention }, source) {
  const most = attention.indexOf(Math.max(...attention));
  const share = (100 * attention[most]).toFixed(0);
  return `“${shown(character)}”: looked most at “${shown(source[most])}”, character ${most + 1} of ${source.length} (${share} %).`;
}
