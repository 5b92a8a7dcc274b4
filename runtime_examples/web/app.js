// The page: a model is opened, then the panel of its family shows. Each panel is a file of its own.

import { startAskPanel } from './ask_panel.js';
import { startBundlePanel } from './bundle_panel.js';
import { startCaptionPanel } from './caption_panel.js';
import { startCheckPanel } from './check_panel.js';
import { startComparePanel } from './compare_panel.js';
import { Engine } from './engine.js';
import { startFramesPanel } from './frames_panel.js';
import { startLookPanel } from './look_panel.js';
import { startModulePanel } from './module_panel.js';
import { element, showError, tell } from './page.js';
import { startPaintPanel } from './paint_panel.js';
import { startReadPanel } from './read_panel.js';
import { startSpeedPanel } from './speed_panel.js';
import { startTextPanel } from './text_panel.js';
import { startTracePanel } from './trace_panel.js';
import { startTranslatePanel } from './translate_panel.js';

// A module of one function with one SIMD instruction: a browser that does not know it cannot run the runtime.
const SIMD = Uint8Array.of(
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0,
  1,
  5,
  1,
  96,
  0,
  1,
  123,
  3,
  2,
  1,
  0,
  10,
  10,
  1,
  8,
  0,
  65,
  0,
  253,
  15,
  253,
  98,
  11,
);
const WAIT_MS = 3000;
// family → the panel's element and what starts it; a new panel is a file and a row
const PANELS = {
  language: ['text-panel', startTextPanel],
  captioner: ['caption-panel', startCaptionPanel],
  answerer: ['ask-panel', startAskPanel],
  translator: ['translate-panel', startTranslatePanel],
  reader: ['read-panel', startReadPanel],
  frames: ['frames-panel', startFramesPanel],
  looker: ['look-panel', startLookPanel],
  painter: ['paint-panel', startPaintPanel],
  module: ['module-panel', startModulePanel],
};

async function start() {
  if (typeof WebAssembly !== 'object' || !WebAssembly.validate(SIMD)) {
    showError(
      new Error(
        'this browser has no WebAssembly SIMD, which the runtime needs; ' +
          'expected Chrome 91, Firefox 89, Safari 16.4 or newer; update it',
      ),
    );
    tell('Nothing can run here.');
    return;
  }
  const engine = new Engine(); // its files come while the service worker starts
  await startOffline();
  const panels = Object.fromEntries(Object.entries(PANELS).map(([family, [id, begin]]) => [family, { id, ...begin(engine) }]));
  const [check, speed] = [startCheckPanel(engine), startSpeedPanel(engine)];
  const [compare, trace] = [startComparePanel(engine), startTracePanel(engine)];
  const showOnly = (model) => {
    for (const [family, { id }] of Object.entries(panels)) element(id).hidden = model?.family !== family;
    for (const id of ['check-panel', 'speed-panel']) element(id).hidden = !model;
    for (const id of ['compare-panel', 'trace-panel']) element(id).hidden = model?.family !== 'language';
  };
  await startBundlePanel(engine, {
    opening: () => {
      showOnly(null);
      panels.frames.end();
      compare.end();
    },
    opened: (model, from) => {
      showOnly(model);
      panels[model.family].show(model);
      for (const panel of [check, speed, trace]) panel.reset();
      compare.reset(model, from);
    },
    kept: showOnly,
  });
}

/** Start the service worker, so that what is loaded from here on is kept; without one the page works online. */
async function startOffline() {
  if (!navigator.serviceWorker) return;
  const controlled = new Promise((resolve) =>
    navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }),
  );
  const begun = navigator.serviceWorker
    .register('sw.js')
    .then(() => navigator.serviceWorker.controller ?? controlled)
    .catch(() => {}); // private windows and some settings forbid it
  await Promise.race([begun, new Promise((resolve) => setTimeout(resolve, WAIT_MS))]);
}

start().catch(showError);
