// A picture that is drawn, taken or chosen, and what a model says of it after each of some looks, with where it looked.

import { startDrawing } from './drawing.js';
import { pictureTaken } from './media.js';
import { attempt, element, onDrop, onFile, tell } from './page.js';
import { drawPicture, pixelsOf } from './picture_view.js';
import { best, percent, showShares } from './shares_view.js';

const MARK = 9; // pixels of the view

export function startLookPanel(engine) {
  const [view, slider, list, told, pad] = ['look-view', 'look-step', 'look-answers', 'look-told', 'look-pad'].map(element);
  let [picture, looks, names, size, number] = [null, [], [], null, 0];
  const show = () => {
    const at = Number(slider.value) - 1;
    drawPicture(view, picture, null);
    if (!looks.length) return;
    drawPath(view, looks.slice(0, at + 1), size);
    showShares(list, names, looks[at].shares);
    const [first] = best(looks[at].shares);
    told.textContent = `Look ${at + 1} of ${looks.length}${wordsOf(looks[at], size)}: ${names[first]}, ${percent(looks[at].shares[first])}.`;
  };
  const lookAt = async (pixels) => {
    const [mine, times] = [++number, Number(element('look-times').value)];
    if (!Number.isInteger(times) || times < 1 || times > 100)
      throw new Error(`looks are “${element('look-times').value}”, expected a whole number from 1 to 100; change it`);
    tell('Looking…');
    const made = await engine.call('look', { pixels, times });
    if (mine !== number) return;
    [picture, looks] = [pixels, made];
    slider.max = slider.value = looks.length;
    slider.disabled = false;
    show();
    const [first] = best(looks.at(-1).shares);
    view.setAttribute('aria-label', `The picture, seen as ${names[first]}`);
    tell(`Seen: ${names[first]}, ${percent(looks.at(-1).shares[first])}.`);
  };
  const drawing = startDrawing(pad, () => attempt(() => lookAt(drawing.pixels())));
  element('look-clear').addEventListener('click', () => {
    drawing.clear();
    tell('Draw on the black square.');
  });
  element('look-camera').addEventListener('click', () => attempt(async () => lookAt(await pictureTaken())));
  element('look-again').addEventListener('click', () =>
    attempt(() => {
      if (!picture && drawing.isEmpty()) throw new Error('there is no picture; draw one, or choose a file');
      return lookAt(picture ?? drawing.pixels());
    }),
  );
  slider.addEventListener('input', show);
  onFile('look-picture', async ([file]) => lookAt(await pixelsOf(file)));
  onDrop(element('look-stage'), async (file) => lookAt(await pixelsOf(file)));
  return {
    show: ({ frames }) => {
      [names, size] = [frames.labels, frames.picture];
      [picture, looks, number] = [null, [], number + 1];
      slider.disabled = true;
      drawing.clear();
      list.replaceChildren();
      told.textContent = 'What is seen will stand here, look by look.';
      view.setAttribute('aria-label', 'No picture yet');
      show();
    },
  };
}

/** Where in the picture a look went, from 0 to 1: [across, down]; a place of -1 is the centre of the first pixel, 1 of the last. */
function placeOf({ place }, { height, width }) {
  const within = (value, pixels) => (((value + 1) / 2) * (pixels - 1) + 0.5) / pixels;
  return place && [within(place[1], width), within(place[0], height)];
}

/** Draw where the looks went: a line from one to the next, a ring at the last. */
function drawPath(canvas, looks, size) {
  const context = canvas.getContext('2d');
  const places = looks
    .map((each) => placeOf(each, size))
    .filter(Boolean)
    .map(([across, down]) => [across * canvas.width, down * canvas.height]);
  if (!places.length) return;
  for (const [width, colour] of [
    [6, '#000'],
    [2.5, '#ffb347'],
  ]) {
    Object.assign(context, { lineWidth: width, strokeStyle: colour });
    context.beginPath();
    places.forEach((place) => context.lineTo(...place));
    context.stroke();
    context.beginPath();
    context.arc(...places.at(-1), MARK, 0, 2 * Math.PI);
    context.stroke();
  }
}

function wordsOf(look, size) {
  const place = placeOf(look, size)?.map((share) => Math.round(100 * share));
  return place ? `, ${place[0]} % across and ${place[1]} % down` : '';
}
