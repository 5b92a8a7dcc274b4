// "Check this device": the golden run, the sampler and the tokenizer, as a table.

import { attempt, element } from './page.js';
import { verdictOf } from './src/check.js';

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
        const made = rows.filter(({ worst }) => worst !== null).length;
        verdict.className = right ? 'ok' : 'failed';
        verdict.textContent = right
          ? `✓ This device computes what the model does: ${made} of ${rows.length} checks.`
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

function line(checked) {
  const { name, worst, tolerance, ok } = checked;
  const row = document.createElement('tr');
  const found = worst === null ? '–' : tolerance ? worst.toExponential(2) : String(worst);
  const sign = worst === null ? '' : ok ? '✓ ' : '✗ ';
  for (const text of [name, found, String(tolerance), sign + verdictOf(checked)])
    row.insertCell().textContent = text;
  row.cells[3].className = ok ? 'ok' : 'failed';
  return row;
}
