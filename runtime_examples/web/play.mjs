// Playing the page in headless Chromium: what test.mjs and headless.mjs do with it.

import { isDeepStrictEqual } from 'node:util';

import { chromium } from 'playwright-core';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const TIMEOUT_MS = 30_000;

const MEDIA = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']; // Chromium's own picture and beep

/** Start a browser, with `media` one with a camera and a microphone that are made up; its `close` ends it. */
export function launch({ media = false } = {}) {
  return chromium.launch({ executablePath: CHROMIUM, args: media ? [...ARGUMENTS, ...MEDIA] : ARGUMENTS });
}

/**
 * Open the page at an address in a browser without a past, with Playwright's `options` of a context; returns
 * { page, context, requests, complaints, close }.
 */
export async function browse(browser, url, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  const [requests, complaints] = [[], []];
  context.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (thrown) => complaints.push(String(thrown)));
  await page.goto(url);
  return { page, context, requests, complaints, close: () => context.close() };
}

/** Choose a bundle of the list by its name, and wait until it is open. */
export async function openBundle(page, name, { reload = false } = {}) {
  if (reload) await page.reload();
  await page.waitForFunction(() => document.getElementById('bundle').options.length > 0);
  await page.waitForFunction(() => !/^(Starting|Opening)/.test(document.getElementById('status').textContent));
  if ((await page.locator('#bundle option:checked').textContent()) !== name || (await page.isVisible('#error'))) {
    await page.selectOption('#bundle', { label: name });
  }
  await status(page, `^${name} is ready: `);
}

/** Write a text; returns it without the prompt. */
export async function write(page, { prompt, length, temperature, seed }) {
  await slide(page, 'temperature', temperature);
  await page.fill('#seed', String(seed));
  await page.fill('#prompt', prompt);
  await page.fill('#length', String(length));
  await page.click('#write');
  await status(page, `^Text: ${length} tokens`);
  return page.textContent('.new');
}

/** Move a slider. */
export async function slide(page, id, value) {
  await page.locator(`#${id}`).fill(String(value));
}

/** Check the device; returns the text of every row, all of which must be right. */
export async function checkDevice(page) {
  await page.click('#check');
  await page.waitForSelector('#verdict.ok, #verdict.failed');
  await page.waitForSelector('#rows:not([hidden])');
  const rows = await page.locator('#rows tbody tr').allTextContents();
  equal(
    rows.filter((row) => !row.endsWith('✓ ok')),
    [],
  );
  return rows;
}

/** Wait until the status line fits a pattern. */
export async function status(page, pattern) {
  await page
    .waitForFunction(([text]) => new RegExp(text).test(document.getElementById('status').textContent), [pattern])
    .catch(async () => {
      const [seen, wrong] = [await page.textContent('#status'), await page.textContent('#error')];
      throw new Error(`the status stayed “${seen}” (${wrong}), expected ${pattern}`);
    });
}

/** Wait until the page shows an error that says so. */
export async function error(page, said) {
  await page
    .waitForFunction(
      (text) => !document.getElementById('error').hidden && document.getElementById('error').textContent.includes(text),
      said,
    )
    .catch(async () => {
      throw new Error(`the error stayed “${await page.textContent('#error')}”, expected “${said}”`);
    });
}

/** Throw where something does not hold. */
export function check(holds, what) {
  if (!holds) throw new Error(`expected: ${what}`);
}

/** Throw where two values differ. */
export function equal(found, wanted) {
  if (!isDeepStrictEqual(found, wanted)) throw new Error(`found ${JSON.stringify(found)}, expected ${JSON.stringify(wanted)}`);
}
