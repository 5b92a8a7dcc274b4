// A picture, its caption, and over the picture where the model looked for each word.

import { attempt, element, onFile, tell } from './page.js';
import { drawScene } from './scene.js';

const MOST_PIXELS = 4096; // a side; larger pictures are made smaller by the browser first
const DARKEST = 0.8; // how much of the light is taken where the model did not look

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
  element('draw').addEventListener('click', () => attempt(() => captionOf(drawScene())));
  stage.addEventListener('dragover', (event) => {
    event.preventDefault();
    stage.classList.add('over');
  });
  stage.addEventListener('dragleave', () => stage.classList.remove('over'));
  stage.addEventListener('drop', (event) => {
    event.preventDefault();
    stage.classList.remove('over');
    const [file] = event.dataTransfer.files;
    if (file) attempt(async () => captionOf(await pixelsOf(file)));
  });
  return {
    show: () => {
      [picture, heard, pinned] = [null, [], null];
      words.replaceChildren();
      drawPicture(view, null, null);
    },
  };
}

/** Decode a picture file, upright and on white; returns an ImageData. */
async function pixelsOf(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' });
  } catch {
    throw new Error(
      `${file.name} is no picture that this browser reads (${file.type || 'unknown type'}, ${file.size} bytes); ` +
        `expected JPEG, PNG, WebP or the like; choose another`,
    );
  }
  const scale = Math.min(1, MOST_PIXELS / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** Draw a picture, darkened where `attention` (regions row by row, or null) is weak; the strongest region is in full light. */
function drawPicture(canvas, pixels, attention) {
  const context = canvas.getContext('2d');
  const [width, height] = pixels ? [pixels.width, pixels.height] : [1, 1];
  canvas.height = Math.round((canvas.width * height) / width);
  canvas.parentElement.classList.toggle('full', Boolean(pixels));
  if (!pixels) return;
  context.imageSmoothingEnabled = Math.max(width, height) > canvas.width; // small pictures show their pixels
  context.drawImage(canvasOf(pixels), 0, 0, canvas.width, canvas.height);
  if (!attention) return;
  context.imageSmoothingEnabled = true;
  context.drawImage(canvasOf(shade(attention)), 0, 0, canvas.width, canvas.height);
}

function shade(attention) {
  const side = Math.sqrt(attention.length);
  const strongest = Math.max(...attention);
  const image = new ImageData(side, side);
  attention.forEach((value, region) => {
    image.data[region * 4 + 3] = 255 * DARKEST * (1 - value / strongest);
  });
  return image;
}

function canvasOf(pixels) {
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return canvas;
}

/** Say in words where the strongest region lies. */
function describe({ word, attention }) {
  const side = Math.sqrt(attention.length);
  const best = attention.indexOf(Math.max(...attention));
  const third = (at) => Math.min(2, Math.floor(((at + 0.5) / side) * 3));
  const [row, column] = [Math.floor(best / side), best % side];
  const place = `${['top', 'middle', 'bottom'][third(row)]} ${['left', 'centre', 'right'][third(column)]}`;
  const where = `${place} (row ${row + 1}, column ${column + 1} of ${side})`;
  return `“${word}”: it looked most at the ${where}, with ${Math.round(attention[best] * 100)} % of its attention.`;
}
