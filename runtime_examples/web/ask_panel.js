// A picture, a question about it, and the answer: its running scores after every word, and where the model looked then.

import { attempt, element, onDrop, onFile, tell } from './page.js';
import { describe, drawPicture, pixelsOf } from './picture_view.js';
import { drawScene } from './scene.js';
import { best, percent, showShares } from './shares_view.js';

export function startAskPanel(engine) {
  const [view, words, list, where, stage, question] = [
    'ask-view',
    'ask-words',
    'answers',
    'ask-where',
    'ask-stage',
    'question',
  ].map(element);
  let [picture, heard, names, pinned] = [null, [], [], null];
  const look = (index) => {
    const word = heard[index];
    drawPicture(view, picture, word?.attention ?? null);
    [...words.children].forEach((button, at) => button.setAttribute('aria-pressed', String(at === index)));
    showShares(list, names, word?.probabilities ?? null);
    where.textContent = !word ? '' : word.attention ? describe(word) : `The scores after “${word.word}”.`;
  };
  const wordButton = ({ word, known }, index) => {
    const button = Object.assign(document.createElement('button'), { textContent: word });
    if (!known) button.title = 'a word that the model does not know';
    for (const event of ['pointerenter', 'focus']) button.addEventListener(event, () => look(index));
    button.addEventListener('pointerleave', () => look(pinned));
    button.addEventListener('click', () => look((pinned = index)));
    return button;
  };
  const ask = async () => {
    if (!question.value.trim()) throw new Error('there is no question; type one, as: what colour is the circle?');
    if (!picture) show(drawScene());
    tell('Looking…');
    heard = await engine.call('ask', { pixels: picture, question: question.value });
    words.replaceChildren(...heard.map(wordButton));
    pinned = heard.length - 1;
    look(pinned);
    const { probabilities } = heard[pinned];
    const [first] = best(probabilities);
    const unknown = heard.find(({ known }) => !known);
    const told = unknown ? `; it does not know the words shown as ${unknown.word}` : '';
    tell(`Answer: ${names[first]}, ${percent(probabilities[first])}${told}.`);
  };
  const show = (pixels) => {
    [picture, heard, pinned] = [pixels, [], null];
    words.replaceChildren();
    look(null);
    view.setAttribute('aria-label', pixels ? 'The picture' : 'No picture yet');
    if (pixels) tell('Ask something about the picture.');
  };

  const shown = async (file) => show(await pixelsOf(file));
  onFile('ask-picture', ([file]) => shown(file));
  onDrop(stage, shown);
  element('ask-draw').addEventListener('click', () => attempt(() => show(drawScene())));
  element('ask-form').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(ask);
  });
  return {
    show: (model) => {
      names = model.answers;
      show(null);
    },
  };
}
