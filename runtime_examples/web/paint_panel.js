// A label, and the picture that the model paints of it, step by step; a slider goes back through the steps.

import { attempt, element, tell } from './page.js';
import { drawPicture } from './picture_view.js';

const PAUSE_MS = 120; // between the steps that are shown

export function startPaintPanel(engine) {
  const [view, label, seed, steps, slider, told] = [
    'paint-view',
    'paint-label',
    'paint-seed',
    'paint-steps',
    'paint-step',
    'paint-told',
  ].map(element);
  let painted = [];
  const show = (at) => {
    drawPicture(view, painted.length ? pixels(painted[at]) : null, null);
    slider.value = at + 1;
    told.textContent = painted.length ? `After step ${at + 1} of ${painted.length}.` : 'The picture will stand here.';
  };
  const paint = async () => {
    const [count, own] = [whole(steps, 'steps', 1), whole(seed, 'the seed', 0)];
    tell('Painting…');
    const made = await engine.call('paint', { place: label.selectedIndex, seed: own, steps: count });
    painted = made;
    slider.max = count;
    slider.disabled = false;
    for (let at = 0; at < count && painted === made; at += 1) {
      show(at);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    view.setAttribute('aria-label', `A painted ${label.value}`);
    tell(`Painted ${label.value} in ${count} steps.`);
    seed.value = own + 1;
  };
  slider.addEventListener('input', () => show(Number(slider.value) - 1));
  element('paint-form').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(paint);
  });
  return {
    show: ({ paints }) => {
      label.replaceChildren(...paints.map((name) => new Option(name)));
      painted = [];
      slider.disabled = true;
      show(0);
    },
  };
}

function whole(input, name, least) {
  const value = Number(input.value);
  if (!Number.isInteger(value) || value < least || value > 1e6)
    throw new Error(`${name} is ${input.value || 'nothing'}, expected a whole number from ${least} to 1,000,000`);
  return value;
}

/** Return a picture as an ImageData of greys. */
function pixels({ width, height, light }) {
  const made = new ImageData(width, height);
  light.forEach((value, at) => made.data.set([...Array(3).fill(Math.round(255 * Math.min(1, Math.max(0, value)))), 255], 4 * at));
  return made;
}
