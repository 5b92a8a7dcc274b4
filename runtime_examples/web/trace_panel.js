// The state while a text is read, token by token, as a map.

import { attempt, element, tell } from './page.js';
import { stateMap } from './state_map.js';

export function startTracePanel(engine) {
  const map = stateMap(element('trace-map'), 'the text');
  const trace = async () => {
    const given = element('trace-text').value;
    if (!given) throw new Error('there is no text, expected one to read; type one, or write one above');
    tell('Reading…');
    const { rows, labels, left } = await engine.call('trace', { text: given });
    element('trace-map').hidden = false;
    map.show(rows, labels);
    tell(`The state over ${labels.length} tokens${left ? `; ${left} more were not read` : ''}.`);
  };
  element('trace-written').addEventListener('click', () => {
    const [written] = document.querySelectorAll('#texts .written');
    if (written) element('trace-text').value = written.textContent;
    attempt(trace);
  });
  element('trace-form').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(trace);
  });
  return {
    reset: () => {
      map.clear();
      element('trace-map').hidden = true;
    },
  };
}
