// A visit as a slow phone makes it: node phone.mjs BUNDLE …. Chromium at 360 × 740, its processor slowed down SLOWER times (4), its
// network "slow 4G": 1.6 Mbit/s, 150 ms an answer. Chromium slows a page's thread down and no worker's, so the worker's code runs in
// a frame of the page here: a step takes what it would in a worker as slow.
//
// Prints a line of JSON for each bundle, of the model file that the page takes: seconds until the model is ready, on a first and on a
// later visit, with the kB that came; ms of the first token after Write; tokens a second; µs of a step.

import { basename, resolve } from 'node:path';

import { browse, launch, slide, status } from './play.mjs';
import { serve } from './serve.mjs';
import { slowly } from './slow_network.mjs';

const SLOWER = Number(process.env.SLOWER ?? 4);
const SLOW_4G = { bits: 1.6e6, delay: 150 };
const SCREEN = { width: 360, height: 740 };
const TOKENS = '100';

/** In the page: workers whose code runs on the page's thread, in a frame of their own. */
function workersInFrames() {
  if (window !== top) return;
  window.Worker = class {
    constructor(url) {
      this.frame = Object.assign(document.createElement('iframe'), { hidden: true });
      document.body.append(this.frame);
      const inner = this.frame.contentWindow;
      inner.postMessage = (data) => {
        const copy = structuredClone(data);
        setTimeout(() => this.onmessage?.({ data: copy }));
      };
      const script = Object.assign(inner.document.createElement('script'), { type: 'module', src: String(url) });
      this.ready = new Promise((loaded) => script.addEventListener('load', loaded));
      inner.document.body.append(script);
    }

    async postMessage(data) {
      const inner = this.frame.contentWindow;
      const copy = inner.structuredClone(data); // of the frame's own kinds of arrays
      await this.ready;
      setTimeout(() => inner.onmessage({ data: copy }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}

/** Come to the page and wait for the model; returns { ready_s, kilobytes }. */
async function visit(page, network, go) {
  network.sent();
  const from = performance.now();
  await go();
  await status(page, ' is ready: ');
  return { ready_s: seconds(performance.now() - from), kilobytes: Math.round(network.sent() / 1000) };
}

async function measure(browser, network) {
  const { page, context, close } = await browse(browser, 'about:blank', {
    viewport: SCREEN,
    isMobile: true,
    hasTouch: true,
    bypassCSP: true,
  });
  page.setDefaultTimeout(180_000);
  await page.addInitScript(workersInFrames);
  const session = await context.newCDPSession(page);
  await session.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
  const first = await visit(page, network, () => page.goto(network.url));
  const later = await visit(page, network, () => page.reload());
  await slide(page, 'temperature', 0.8);
  await page.fill('#length', TOKENS);
  await page.click('#write');
  await status(page, '^Text: ');
  const [, token, rate] = /first after (\d+) ms, ([\d,]+) tokens/.exec(await page.textContent('#status'));
  await page.click('#time');
  await page.waitForSelector('#speeds:not([hidden])');
  const chosen = await page.inputValue('#artifact');
  const rows = await page
    .locator('#speeds tbody tr')
    .evaluateAll((all) => all.map(({ cells }) => [...cells].map((each) => each.textContent)));
  const [, , , median, least] = rows.find(([path]) => path === chosen);
  await close();
  return { artifact: chosen, first, later, first_token_ms: Number(token), tokens_a_second: rate, step_us: { median, least } };
}

function seconds(ms) {
  return Math.round(ms / 10) / 100;
}

const browser = await launch();
try {
  for (const bundle of process.argv.slice(2)) {
    const server = await serve({ bundles: [resolve(bundle)] });
    const network = await slowly(server.url, SLOW_4G);
    process.stdout.write(
      `${JSON.stringify({ bundle: basename(bundle), slower: SLOWER, ...(await measure(browser, network)) })}\n`,
    );
    network.close();
    await server.close();
  }
} finally {
  await browser.close();
}
