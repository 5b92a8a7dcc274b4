// "Check this device": the golden run, the sampler and the tokenizer, as a table.

import { attempt, element } from './page.js';

export function startCheckPanel(engine) {
  const [button, verdict, table] = [element('check'), element('verdict'), element('rows')];
  const reset = () => {
    table.hidden = true;
    verdict.textContent = '';
  };
  button.addEventListener('click', () =>
    attempt(async () => {
      reset();
      button.disabled = true;
      verdict.textContent = 'Replaying…';
      try {
        const rows = await engine.call('check');
        const right = rows.every(({ ok }) => ok);
        verdict.className = right ? 'ok' : 'failed';
        verdict.textContent = right
          ? `✓ This device computes what the model does: ${rows.length} of ${rows.length} checks.`
          : '✗ This device computes something else.';
        table.tBodies[0].replaceChildren(...rows.map(line));
        table.hidden = false;
      } finally {
        button.disabled = false;
        if (verdict.textContent === 'Replaying…') verdict.textContent = '';
      }
    }),
  );
  return { reset };
}

function line({ name, worst, tolerance, ok }) {
  const row = document.createElement('tr');
  for (const text of [name, tolerance ? worst.toExponential(2) : String(worst), String(tolerance), ok ? '✓ ok' : '✗ FAILED'])
    row.insertCell().textContent = text;
  row.cells[3].className = ok ? 'ok' : 'failed';
  return row;
}
