// A network that no panel fits: what it takes, and what can be done with it here.

import { element } from './page.js';

export function startModulePanel() {
  return {
    show: ({ takes }) => {
      element('module-takes').textContent = `A step takes ${takes.join('; ') || 'its state alone'}.`;
    },
  };
}
