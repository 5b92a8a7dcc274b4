// A picture, its caption, and over the picture where the model looked for each word.

import { pictureTaken } from './media.js';
import { attempt, element, onDrop, onFile, tell } from './page.js';
import { describe, drawPicture, pixelsOf } from './picture_view.js';
import { drawScene } from './scene.js';

export function startCaptionPanel(engine) {
  const [view, words, where, stage] = ['view', 'words', 'where', 'stage'].map(element);
  let [picture, heard, pinned] = [null, [], null];
  const look = (index) => {
    drawPicture(view, picture, index === null ? null : heard[index].attention);
    [...words.children].forEach((button, at) => button.setAttribute('aria-pressed', String(at === pinned)));
    if (index !== null) where.textContent = describe(heard[index]);
  };
  const captionOf = async (pixels) => {
    [picture, heard, pinned] = [pixels, [], null];
    words.replaceChildren();
    drawPicture(view, picture, null);
    tell('Looking…');
    heard = await engine.call('caption', { pixels });
    const text = heard.map(({ word }) => word).join(' ');
    words.replaceChildren(...heard.map(({ word }, index) => wordButton(word, index)));
    view.setAttribute('aria-label', `The picture: ${text}`);
    where.textContent = heard[0]?.attention
      ? 'Point at a word, or move to it with Tab, to see where the model looked.'
      : 'This model does not say where it looks.';
    tell(`Caption: ${text}.`);
  };
  const wordButton = (word, index) => {
    const button = Object.assign(document.createElement('button'), { textContent: word });
    button.setAttribute('aria-pressed', 'false');
    if (!heard[index].attention) return button;
    for (const event of ['pointerenter', 'focus']) button.addEventListener(event, () => look(index));
    for (const event of ['pointerleave', 'blur']) button.addEventListener(event, () => look(pinned));
    button.addEventListener('click', () => {
      pinned = pinned === index ? null : index;
      look(pinned);
    });
    return button;
  };

  onFile('picture', async ([file]) => captionOf(await pixelsOf(file)));
  element('take').addEventListener('click', () => attempt(async () => captionOf(await pictureTaken())));
  element('draw').addEventListener('click', () => attempt(() => captionOf(drawScene())));
  onDrop(stage, async (file) => captionOf(await pixelsOf(file)));
  return {
    show: () => {
      [picture, heard, pinned] = [null, [], null];
      words.replaceChildren();
      drawPicture(view, null, null);
    },
  };
}
