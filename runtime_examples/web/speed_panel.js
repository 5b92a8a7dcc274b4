// "Time a step": every model file of the bundle in turns, and what has to be loaded for it.

import { attempt, element } from './page.js';

const KILOBYTE = 1e3;

export function startSpeedPanel(engine) {
  const [button, table, note] = [element('time'), element('speeds'), element('speed-note')];
  const reset = () => {
    table.hidden = true;
    note.textContent = '';
  };
  button.addEventListener('click', () =>
    attempt(async () => {
      reset();
      button.disabled = true;
      note.textContent = 'Timing…';
      try {
        const rows = await engine.call('time');
        table.tBodies[0].replaceChildren(...rows.map(line));
        table.hidden = false;
        const [fastest] = [...rows].sort((one, other) => one.median - other.median);
        note.textContent = `The fastest here is ${fastest.path}: ${fastest.median.toFixed(1)} µs a step.`;
      } finally {
        button.disabled = false;
        if (note.textContent === 'Timing…') note.textContent = '';
      }
    }),
  );
  return { reset };
}

function line({ path, runtime, bytes, median, least }) {
  const row = document.createElement('tr');
  for (const text of [path, runtime, `${Math.ceil(bytes / KILOBYTE)} kB`, median.toFixed(1), least.toFixed(1)])
    row.insertCell().textContent = text;
  return row;
}
