// More of what test.mjs plays: bundles by address and by drop, two models on one text, the map of the state, frames from the camera,
// the microphone, files and sliders, drawings; and axe over every panel.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { check, checkDevice, equal, error, openBundle, status, write } from './play.mjs';

const AXE = fileURLToPath(new URL('node_modules/axe-core/axe.min.js', import.meta.url));
const AWAY = 'https://bundles.test/'; // answered by the scenario, and by nothing else

export const MORE_SCENARIOS = {
  async 'a bundle by its address, of this site and of another'({ page, context, spec, url, requests }) {
    await load(page, `bundles/${spec.text}/manifest.json`);
    await status(page, `^${spec.text} is ready: `);
    await context.route(`${AWAY}**`, async (route) => {
      const headers = { 'Access-Control-Allow-Origin': '*' };
      const name = new URL(route.request().url()).pathname;
      if (name === '/packed.edgernn') return route.fulfill({ headers, body: await readFile(spec.zip) });
      if (name === '/closed.edgernn') return route.abort(); // what a page sees of a server that refuses other sites
      if (name === '/page.edgernn') return route.fulfill({ headers, body: '<!doctype html><p>a page, and no bundle at all</p>' });
      return route.fulfill({ headers, status: name === '/locked/manifest.json' ? 403 : 404 });
    });
    await load(page, `${AWAY}packed.edgernn`);
    await status(page, '^packed.edgernn is ready: ');
    equal(await write(page, { ...spec.greedy, temperature: 0, seed: 0 }), spec.greedy.text);
    for (const [address, said] of [
      [`${AWAY}closed.edgernn`, 'does not let other sites read it'],
      [`${AWAY}page.edgernn`, 'is no zip'],
      [`${AWAY}none.edgernn`, 'the server answered 404'],
      [`${AWAY}locked/`, 'the server answered 403'],
      ['bundles/none/', 'there is no manifest.json in none'],
      ['http://bundles.test/', 'the address is http://bundles.test, expected https or this site'],
      ['https://', 'is no address'],
      ['bundles/%zz/', 'is no address'],
      [' ', 'there is no address'],
    ]) {
      await load(page, address);
      await error(page, said);
    }
    await page.goto(`${url}?bundle=bundles/${spec.learned}/`);
    await status(page, `^${spec.learned} is ready: `);
    await page.goto(`${url}?bundle=ftp://bundles.test/`);
    await error(page, 'the address is ftp://bundles.test');
    await openBundle(page, spec.text);
    const foreign = requests.filter((each) => !each.startsWith(url));
    check(foreign.length === 5 && foreign.every((each) => each.startsWith(AWAY)), `nothing else is fetched: ${foreign}`);
  },
  async 'a bundle that is dropped on the page'({ page, spec }) {
    const bytes = [...(await readFile(spec.zip))];
    await openBundle(page, spec.text);
    const drop = (id, names) =>
      page.evaluate(
        ([place, all, files]) => {
          const dataTransfer = new DataTransfer();
          for (const name of files) dataTransfer.items.add(new File([Uint8Array.from(all)], name));
          const event = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true });
          return !document.getElementById(place).dispatchEvent(event);
        },
        [id, bytes, names],
      );
    await drop('bundle-card', ['one.edgernn', 'other.edgernn']);
    await error(page, '2 files were dropped, expected one');
    check(await drop('check-panel', ['beside.edgernn']), 'the page is not left for a file that is dropped beside its place');
    await drop('bundle-card', ['dropped.edgernn']);
    await status(page, '^dropped.edgernn is ready: ');
  },
  async 'two models are compared on one text, as Python compares them'({ page, spec }) {
    const { prompt, length, other, parts, mean, worst } = spec.compared;
    await openBundle(page, spec.text);
    await page.fill('#compare-prompt', prompt);
    await page.fill('#compare-length', String(length));
    await page.selectOption('#compare-with', { label: other });
    await page.click('#compare-go');
    await status(page, `^Compared ${spec.text}, float32 with ${other}, float32`);
    const said = await page.textContent('#compare-summary');
    check(said.startsWith(`The texts are the same for ${parts} tokens, then part`), said);
    const found = said
      .match(/is (\S+) nats a token from the first in the mean, (\S+) at worst/)
      .slice(1)
      .map(Number);
    for (const [at, wanted] of [mean, worst].entries())
      check(Math.abs(found[at] - wanted) <= 0.006 * wanted, `${wanted} is told, found ${said}`);
    equal(
      await page
        .locator('#compare-texts .same')
        .allTextContents()
        .then(([one, two]) => one === two),
      true,
    );
    await page.selectOption('#compare-with', { index: 0 });
    await page.click('#compare-go');
    await status(page, `^Compared ${spec.text}, float32 with ${spec.text}, int8`);
    await page.fill('#compare-length', '2000');
    await page.click('#compare-go');
    await openBundle(page, spec.words); // in the middle of it
    await openBundle(page, spec.text);
    check(await page.isHidden('#error'), 'what was compared is dropped');
    await page.waitForSelector('#compare-go:enabled');
    await page.fill('#compare-length', String(length));
    await page.selectOption('#compare-with', { label: spec.words });
    await page.click('#compare-go');
    await error(page, 'expected the same tokenizer');
    await page.fill('#compare-address', 'http://bundles.test/');
    await page.click('#compare-address-form button');
    await error(page, 'expected https or this site');
    await page.setInputFiles('#compare-zip', spec.zip);
    await page.click('#compare-go');
    await status(page, '^Compared text, float32 with packed.edgernn, float32');
    check(
      (await page.textContent('#compare-summary')).startsWith(`Both write the same ${length} tokens`),
      'it is the same model',
    );
  },
  async 'the state over a text is a map, with its figures in words'({ page, spec }) {
    const { text, least, most, steps, units } = spec.traced;
    await openBundle(page, spec.text);
    await page.click('#trace-form button');
    await error(page, 'there is no text');
    await page.fill('#trace-text', text);
    await page.click('#trace-form button');
    await status(page, `^The state over ${steps} tokens`);
    const said = await page.textContent('#trace-map .figures');
    check(said.includes(`${units} units over ${steps} steps, from ${least} to ${most};`), said);
    const size = await page.evaluate(() =>
      [document.querySelector('#trace-map .cells')].map(({ width, height }) => [width, height]),
    );
    equal(size, [[steps, units]]);
    await page.locator('#trace-map .step').fill('1');
    check(
      /After step 1 \(“.”\): its strongest unit \d+ is/.test(await page.textContent('#trace-map .cell')),
      'a column in words',
    );
    await page.hover('#trace-map .cells', { position: { x: 2, y: 2 } });
    check((await page.textContent('#trace-map .cell')).includes(': unit 1 is'), 'a cell in words');
  },
  async 'a text is labelled, and words are tagged, as Python does it step by step'({ page, spec }) {
    const [whole, each] = spec.read;
    await openBundle(page, whole.bundle);
    await page.click('#read-form button');
    await error(page, 'there is no text');
    await page.fill('#read-text', whole.text);
    await page.click('#read-form button');
    await status(page, `^Label: ${whole.label}, `);
    equal(await page.locator('#read-words li').evaluateAll((all) => all.map((one) => one.firstChild.textContent)), whole.tokens);
    for (const [at, shares] of whole.shares.entries()) {
      await page.locator('#read-step').fill(String(at + 1));
      const seen = await page.locator('#read-answers meter').evaluateAll((all) => all.map(({ value }) => value));
      const far = shares.sort((a, b) => b - a).map((share, place) => Math.abs(share - seen[place]));
      check(far.length === seen.length && Math.max(...far) < 1e-4, `the shares after token ${at + 1} are ${shares}, found ${seen}`);
    }
    check(await page.isVisible('#read-map .figures'), 'the states are shown');
    await page.fill('#read-text', 'zebra');
    await page.click('#read-form button');
    await error(page, 'which this model never saw');
    await openBundle(page, each.bundle);
    await page.fill('#read-text', each.text);
    await page.click('#read-form button');
    await status(page, '^Tags: .*; it does not know “attic”\\.$');
    for (const [at, [word, tag, share]] of each.tags.entries()) {
      await page.locator('#read-words li').nth(at).click();
      equal(await page.textContent('#read-told'), `Of “${word}”: ${tag}, ${share.replace('%', ' %')}.`);
    }
    await checkDevice(page);
  },
  async 'pictures are tagged as Python tags them, from files and from the camera'({ page, spec }) {
    await openBundle(page, spec.tagged.bundle);
    await page.setInputFiles('#frames-pictures', spec.tagged.pictures);
    await status(page, `^${spec.tagged.labels.length} frames: ${spec.tagged.labels.join(', ')}\\.$`);
    check(await page.isVisible('#frames-map .figures'), 'its states are shown');
    await page.click('#frames-camera');
    await status(page, '^Running');
    await page.waitForSelector('#frames-map:not([hidden])'); // what the files showed is gone
    await page.waitForFunction(() => /of [5-9]$/.test(document.querySelector('#frames-map .step-value').textContent));
    await page.click('#frames-camera');
    await status(page, '^Stopped');
    check(await page.isVisible('#frames-map .figures'), 'what was seen stays');
    equal(await page.getAttribute('#frames-camera', 'aria-pressed'), 'false');
  },
  async 'numbers come from sliders, a file or the microphone'({ page, spec }) {
    const { bundle, rows, label, share } = spec.numbers;
    await openBundle(page, bundle);
    await page.click('#frames-step');
    await status(page, '^Step 1: ');
    const file = (text) => ({ name: 'run.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
    await page.setInputFiles('#frames-numbers', file(`value\n${rows.join('\n')}\n`));
    await status(page, `^${rows.length} frames: .*${label}\\.$`);
    equal(await page.textContent('#frames-said'), `${label}, ${share}`);
    await page.setInputFiles('#frames-numbers', file('1\n2,3\n'));
    await error(page, 'frame 2 of run.csv is “2 3”, expected 1 numbers');
    await page.fill('#frames-rate', '20');
    await page.click('#frames-microphone');
    await error(page, 'the rate is “20”, expected 3000 to 96000');
    await page.fill('#frames-rate', '8000');
    await page.click('#frames-microphone');
    await status(page, '^Running');
    await page.waitForSelector('#frames-map:not([hidden])'); // what the files showed is gone
    await page.waitForFunction(() => /of [3-9]$/.test(document.querySelector('#frames-map .step-value').textContent));
    await page.click('#frames-microphone');
    await status(page, '^Stopped');
    await refuseMedia(page, 'NotAllowedError');
    await page.click('#frames-microphone');
    await error(page, 'the microphone cannot be used: this page may not use it');
    await refuseMedia(page, 'NotFoundError');
    await page.click('#frames-microphone');
    await error(page, 'the microphone cannot be used: this device has none');
  },
  async 'a picture is looked at as Python looks, and what is drawn is'({ page, spec }) {
    const { bundle, label, share } = spec.looked;
    await openBundle(page, bundle);
    await page.click('#look-again');
    await error(page, 'there is no picture');
    await page.setInputFiles('#look-picture', spec.picture);
    await status(page, `^Seen: ${label}, ${share}\\.$`);
    const view = () => page.evaluate(() => document.getElementById('look-view').toDataURL());
    const seen = await view();
    const { x, y, width, height } = await page.locator('#look-pad').boundingBox();
    await page.mouse.move(x + width * 0.3, y + height * 0.3);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.6, y + height * 0.7, { steps: 3 });
    await page.mouse.up();
    await page.waitForFunction((before) => document.getElementById('look-view').toDataURL() !== before, seen);
    const drawn = await view();
    await page.click('#look-clear');
    await page.focus('#look-pad');
    for (const key of [' ', 'ArrowRight', 'ArrowRight', 'ArrowDown', ' ']) await page.keyboard.press(key);
    await page.waitForFunction((before) => document.getElementById('look-view').toDataURL() !== before, drawn);
    check(/^Look 6 of 6, \d+ % across and \d+ % down: /.test(await page.textContent('#look-told')), 'the place is told in words');
    await page.click('#look-camera');
    await page.waitForFunction(() => document.getElementById('look-view').height < 448); // its picture is wider than high
  },
  async 'axe finds nothing in any panel, light, dark or narrow'({ page, spec }) {
    if (!existsSync(AXE)) throw new Error('axe-core is missing: npm ci --ignore-scripts in runtime_examples/web');
    await openBundle(page, spec.captions);
    await page.setInputFiles('#picture', spec.picture);
    await status(page, 'Caption: ');
    await openBundle(page, spec.asked.bundle);
    await page.click('#ask-form button');
    await status(page, '^Answer: ');
    await openBundle(page, spec.translated.bundle);
    await page.fill('#source-text', spec.translated.text);
    await page.press('#source-text', 'Enter');
    await status(page, '^Translation: ');
    await openBundle(page, spec.painted);
    await page.click('#paint-form button');
    await status(page, '^Painted ');
    await openBundle(page, spec.looked.bundle);
    await page.setInputFiles('#look-picture', spec.picture);
    await status(page, '^Seen: ');
    await openBundle(page, spec.tagged.bundle);
    await page.setInputFiles('#frames-pictures', spec.tagged.pictures);
    await status(page, 'frames: ');
    for (const { bundle, text } of spec.read) {
      await openBundle(page, bundle);
      await page.fill('#read-text', text);
      await page.click('#read-form button');
      await status(page, '^(Label|Tags): ');
    }
    await openBundle(page, spec.text);
    await write(page, { prompt: spec.greedy.prompt, length: 40, temperature: 0, seed: 0 });
    await page.fill('#compare-length', '20');
    await page.click('#compare-go');
    await status(page, '^Compared ');
    await page.click('#trace-written');
    await status(page, '^The state over');
    await page.click('#check');
    await page.waitForSelector('#rows:not([hidden])');
    await page.click('#time');
    await page.waitForSelector('#speeds:not([hidden])');
    await load(page, 'ftp://bundles.test/');
    await error(page, 'expected https');
    await page.evaluate(() => document.querySelectorAll('main [hidden]').forEach((each) => (each.hidden = false)));
    await page.evaluate(await readFile(AXE, 'utf8'));
    for (const [colorScheme, width] of [
      ['light', 1100],
      ['dark', 1100],
      ['light', 360],
    ]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 740 });
      check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `no panel is wider than ${width}`);
      const found = await page.evaluate(async () => (await globalThis.axe.run()).violations);
      equal(
        found.map(({ id, nodes }) => `${colorScheme}, ${width}: ${id}: ${nodes.map(({ target }) => target).join(' ')}`),
        [],
      );
    }
  },
};

async function load(page, address) {
  await page.fill('#address', address);
  await page.click('#address-form button');
}

function refuseMedia(page, name) {
  return page.evaluate((named) => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('refused', named));
  }, name);
}
