// The state over time as a map: a row a unit, a column a step, of one state and layer at once; a legend, and in words what it shows.

import { coloursOf } from './state_strip.js';
import { figuresOf } from './src/history.js';

const [LARGEST_CELL, WANTED_HEIGHT] = [16, 260];
const LEGEND = 101;
const MAP = `
  <div class="sliders">
    <label class="field">State and layer <select class="which"></select></label>
    <label class="field">Pixels a cell <span class="value zoom-value"></span>
      <input class="zoom" type="range" min="1" max="${LARGEST_CELL}" step="1"></label>
    <label class="field">Step <span class="value step-value"></span><input class="step" type="range" min="1" step="1"></label>
  </div>
  <div class="map-frame" tabindex="0" role="region">
    <div class="map-size"><canvas class="cells" role="img"></canvas><div class="cursor"></div></div>
  </div>
  <div class="legend"><span class="least"></span><canvas role="img" width="${LEGEND}" height="1"></canvas><span class="most"></span>
    <span class="quiet">↓ units, → steps</span></div>
  <p class="figures"></p>
  <p class="quiet cell"></p>`;

/** Put a map into an element; `over` says of what the steps are. Returns { show(rows, labels, first) } of History, and { clear() }. */
export function stateMap(root, over) {
  root.innerHTML = MAP;
  root.querySelector('.map-frame').setAttribute('aria-label', `Map of the state over ${over}, a row a unit and a column a step`);
  const [which, zoom, step] = ['.which', '.zoom', '.step'].map((name) => root.querySelector(name));
  const canvas = root.querySelector('.cells');
  let [rows, labels, first, unit, wide] = [[], [], 0, null, 1]; // wide: pixels of a step
  const row = () => rows[which.selectedIndex];
  const redraw = () => {
    if (!row()) return;
    const figures = figuresOf(row());
    const scale = Math.max(Math.abs(figures.least), Math.abs(figures.most)) || 1;
    drawCells(canvas, row(), scale);
    drawLegend(root.querySelector('.legend'), scale);
    root.querySelector('.figures').textContent = describe(row(), figures, labels.length);
    canvas.setAttribute('aria-label', root.querySelector('.figures').textContent);
    resize();
  };
  const resize = () => {
    const size = Number(zoom.value);
    wide = Math.max(size, Math.min(LARGEST_CELL, Math.floor(root.clientWidth / labels.length)));
    root.querySelector('.zoom-value').textContent = wide === size ? String(size) : `${wide} × ${size}`;
    Object.assign(canvas.style, { width: `${labels.length * wide}px`, height: `${row().units * size}px` });
    point();
  };
  const point = () => {
    const at = Number(step.value) - 1;
    Object.assign(root.querySelector('.cursor').style, { left: `${at * wide}px`, width: `${wide}px` });
    root.querySelector('.step-value').textContent = `${first + at + 1} of ${first + labels.length}`;
    root.querySelector('.cell').textContent = told(row(), at, { label: labels[at], number: first + at + 1, unit });
  };
  which.addEventListener('change', () => {
    unit = null;
    fit(zoom, row());
    redraw();
  });
  zoom.addEventListener('input', resize);
  step.addEventListener('input', () => {
    unit = null;
    point();
  });
  canvas.addEventListener('pointermove', ({ offsetX, offsetY }) => {
    unit = Math.min(row().units - 1, Math.max(0, Math.floor(offsetY / Number(zoom.value))));
    step.value = Math.floor(offsetX / wide) + 1;
    point();
  });
  return {
    show: (given, names, from = 0) => {
      const [same, last] = [given.length === rows.length, Number(step.value) === labels.length];
      [rows, labels, first] = [given, [...names], from];
      if (!same) {
        which.replaceChildren(...rows.map(({ name, units }) => new Option(`${name} (${units})`)));
        fit(zoom, row());
      }
      step.max = labels.length;
      if (!same || last) step.value = labels.length;
      redraw();
    },
    clear: () => ([rows, labels, unit] = [[], [], null]),
  };
}

/** Choose the pixels of a cell so that every unit is in sight, where there are not too many. */
function fit(zoom, row) {
  zoom.value = Math.max(1, Math.min(LARGEST_CELL, Math.floor(WANTED_HEIGHT / row.units)));
}

function drawCells(canvas, { units, values }, scale) {
  const [steps, colours] = [values.length / units, coloursOf()];
  Object.assign(canvas, { width: steps, height: units });
  const image = new ImageData(steps, units);
  values.forEach((value, at) => {
    const place = (at % units) * steps + Math.floor(at / units);
    image.data.set([...colours[value < 0 ? 1 : 0], (Math.abs(value) / scale) * 255], place * 4);
  });
  canvas.getContext('2d').putImageData(image, 0, 0);
}

function drawLegend(legend, scale) {
  const [canvas, colours, middle] = [legend.querySelector('canvas'), coloursOf(), (LEGEND - 1) / 2];
  const image = new ImageData(LEGEND, 1);
  for (let at = 0; at < LEGEND; at++)
    image.data.set([...colours[at < middle ? 1 : 0], (Math.abs(at - middle) / middle) * 255], at * 4);
  canvas.getContext('2d').putImageData(image, 0, 0);
  canvas.setAttribute('aria-label', `Colours from ${(-scale).toFixed(2)} over 0, which has none, to ${scale.toFixed(2)}`);
  legend.querySelector('.least').textContent = `−${scale.toFixed(2)}`;
  legend.querySelector('.most').textContent = scale.toFixed(2);
}

function describe({ name, units }, { least, most, bounded, share, still }, steps) {
  const range = `from ${least.toFixed(2)} to ${most.toFixed(2)}`;
  const saturated = `${(100 * share).toFixed(1)} % of the values are beyond ±0.95${bounded ? ' (saturated)' : ' (this state has no bound of 1)'}`;
  return `${name}: ${units} units over ${steps} steps, ${range}; ${saturated}; units that moved by less than 0.01: ${still}.`;
}

function told({ units, values }, at, { label, number, unit }) {
  const column = values.subarray(at * units, (at + 1) * units);
  const strongest = column.reduce((best, value, place) => (Math.abs(value) > Math.abs(column[best]) ? place : best), 0);
  const [which, place] = unit === null ? ['its strongest unit', strongest] : ['unit', unit];
  return `After step ${number}${label ? ` (“${label}”)` : ''}: ${which} ${place + 1} is ${column[place].toFixed(3)}.`;
}
