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

/** Start a browser; its `close` ends it. */
export function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
}

/** Open the page at an address in a browser without a past; returns { page, requests, complaints, close }. */
export async function browse(browser, url) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  const [requests, complaints] = [[], []];
  context.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(message.text()));
  page.on('pageerror', (thrown) => complaints.push(String(thrown)));
  await page.goto(url);
  return { page, requests, complaints, close: () => context.close() };
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

/** Throw where something does not hold. */
export function check(holds, what) {
  if (!holds) throw new Error(`expected: ${what}`);
}

/** Throw where two values differ. */
export function equal(found, wanted) {
  if (!isDeepStrictEqual(found, wanted)) throw new Error(`found ${JSON.stringify(found)}, expected ${JSON.stringify(wanted)}`);
}
