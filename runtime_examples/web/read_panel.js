// A text, and what a model says of it while it reads: the share of each label after every token, or the tag of each word.

import { attempt, element, tell } from './page.js';
import { best, percent, showShares } from './shares_view.js';
import { stateMap } from './state_map.js';

const SPACE = '\u2423'; // how a space is shown
const [MOST_TOLD, MOST_LABELS] = [12, 20];
const [WHOLE, EACH] = [
  {
    title: 'Label a text',
    about: 'The model reads the text part by part. What it says after the last one counts; what it says before shows how it got there.',
    empty: 'The label will stand here, with what the model said after each part of the text.',
  },
  {
    title: 'Tag the words of a text',
    about: 'The model reads word by word, and gives each its tag from that word and those before it. Words stand apart by spaces.',
    empty: 'The tags will stand here, each below its word.',
  },
];

export function startReadPanel(engine) {
  const map = stateMap(element('read-map'), 'the text that is labelled');
  const [list, told, slider, words] = ['read-answers', 'read-told', 'read-step', 'read-words'].map(element);
  let [reader, tokens, heard, number] = [null, [], [], 0]; // heard: the shares of the labels at each token
  const bestAt = (at) => best(heard[at])[0];
  const saying = (at) => `${reader.labels[bestAt(at)]}, ${percent(heard[at][bestAt(at)])}`;
  const pointAt = (at) => {
    slider.value = at + 1;
    element('read-step-value').textContent = `${at + 1} of ${tokens.length}`;
    [...words.children].forEach((each, place) => each.classList.toggle('pointed', place === at));
    showShares(list, reader.labels, heard[at]);
    told.textContent = `${reader.each ? 'Of' : 'After'} “${shown(tokens[at].text)}”: ${saying(at)}.`;
  };
  const begin = (given) => {
    tokens = given;
    words.replaceChildren(...tokens.map(({ text, known }) => itemOf(shown(text), known)));
    slider.max = tokens.length;
  };
  const add = (shares) => {
    const at = heard.push(shares) - 1;
    if (reader.each) words.children[at].querySelector('.tag').textContent = reader.labels[bestAt(at)];
  };
  /** Shade each token by how sure its own tag was, or how sure then the label was that came out in the end. */
  const shade = () => {
    const last = bestAt(heard.length - 1);
    heard.forEach((shares, at) => words.children[at].style.setProperty('--light', shares[reader.each ? bestAt(at) : last]));
    pointAt(heard.length - 1);
    showResult(true);
  };
  const showResult = (is) => {
    element('read-empty').hidden = is;
    element('read-result').hidden = !is;
  };
  const clear = () => {
    [tokens, heard] = [[], []];
    element('read-map').hidden = true;
    map.clear();
    showResult(false);
  };
  const read = async () => {
    const [mine, text] = [++number, element('read-text').value];
    clear();
    if (!text.trim()) throw new Error('there is no text; type one');
    tell('Reading…');
    const made = await engine.call('read', { text }, ({ tokens: given, said }) => {
      if (mine !== number) return;
      if (given) return begin(given);
      said.forEach(add);
      shade();
    });
    if (mine !== number) return;
    element('read-map').hidden = false;
    map.show(made.rows, made.labels, made.first);
    const tags = heard.slice(0, MOST_TOLD).map((_, at) => `${shown(tokens[at].text)} ${reader.labels[bestAt(at)]}`);
    const summary = reader.each ? `Tags: ${listed(tags, heard.length)}` : `Label: ${saying(heard.length - 1)}`;
    tell(`${summary}${unknownOf(tokens)}${made.left ? `; ${made.left} more tokens were not read` : ''}.`);
  };

  slider.addEventListener('input', () => heard[slider.value - 1] && pointAt(slider.value - 1));
  for (const event of ['pointerover', 'click'])
    words.addEventListener(event, ({ target }) => {
      const at = [...words.children].indexOf(target.closest('li'));
      if (heard[at]) pointAt(at);
    });
  element('read-form').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(read);
  });
  return {
    show: (model) => {
      reader = model.reader;
      number += 1;
      const { title, about, empty } = reader.each ? EACH : WHOLE;
      const late = reader.late ? ` A tag is given ${reader.late} word${reader.late === 1 ? '' : 's'} later.` : '';
      element('read-title').textContent = title;
      element('read-about').textContent =
        `${about}${late} ${reader.each ? 'Tags' : 'Labels'}: ${listed(reader.labels.slice(0, MOST_LABELS), reader.labels.length)}.`;
      element('read-empty').textContent = empty;
      clear();
    },
  };
}

function itemOf(text, known) {
  const item = Object.assign(document.createElement('li'), { textContent: text });
  item.append(' ', Object.assign(document.createElement('span'), { className: 'tag' }));
  if (!known) Object.assign(item, { className: 'unknown', title: 'a word that the model does not know' });
  return item;
}

function shown(text) {
  return text.replaceAll(' ', SPACE).replaceAll('\n', '↵');
}

function listed(names, count) {
  return `${names.join(', ')}${count > names.length ? `, … (${count})` : ''}`;
}

function unknownOf(tokens) {
  const words = [...new Set(tokens.filter(({ known }) => !known).map(({ text }) => text))];
  return words.length ? `; it does not know ${listed(words.slice(0, MOST_TOLD).map((word) => `“${word}”`), words.length)}` : '';
}
