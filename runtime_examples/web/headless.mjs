#!/usr/bin/env node
// The page as a command, to compare it with the other examples: node headless.mjs BUNDLE [--check] [--artifact PATH]
// [--prompt TEXT] [--length N] [--temperature T] [--seed S]. BUNDLE is a folder or a .edgernn file. Prints a line of JSON with the
// text, or the rows of the check; exit 1 where the check failed.

import { statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { browse, checkDevice, launch, openBundle, status, write } from './play.mjs';
import { serve } from './serve.mjs';

const text = { type: 'string' };
const { values, positionals } = parseArgs({
  options: {
    artifact: text,
    prompt: { ...text, default: '' },
    length: { ...text, default: '200' },
    temperature: { ...text, default: '0.8' },
    seed: { ...text, default: '0' },
    check: { type: 'boolean' },
    json: { type: 'boolean' }, // as the other examples have it; here it is always so
  },
  allowPositionals: true,
});
const bundle = resolve(positionals[0]);
const isFolder = statSync(bundle).isDirectory();
const server = await serve({ bundles: isFolder ? [bundle] : [] });
const browser = await launch();
try {
  const { page } = await browse(browser, server.url);
  if (isFolder) await openBundle(page, basename(bundle));
  else {
    await status(page, 'Choose a bundle');
    await page.setInputFiles('#zip', bundle);
    await status(page, ' is ready: ');
  }
  if (values.artifact && values.artifact !== (await page.inputValue('#artifact'))) {
    await page.selectOption('#artifact', values.artifact);
    await status(page, `is ready: ${values.artifact}`);
  }
  const artifact = await page.inputValue('#artifact');
  const made = values.check ? { rows: await checkDevice(page) } : { text: await write(page, values) };
  process.stdout.write(`${JSON.stringify({ artifact, ...made })}\n`);
} catch (error) {
  process.stderr.write(`${error.message.replaceAll('\n', ' ')}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
  await server.close();
}
