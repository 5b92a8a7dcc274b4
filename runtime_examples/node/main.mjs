#!/usr/bin/env node
// Write text from a bundle, check this device with it, or time a step. Results go to stdout; exit 0 true, 1 the check failed,
// 2 bad input, told in one line on stderr.

import { parseArgs } from 'node:util';

import { check, verdictOf } from '../web/src/check.js';
import { BundleError, reason } from '../web/src/errors.js';
import { generate, requireText, start } from '../web/src/generation.js';
import { readGolden, row, stepsOf } from '../web/src/golden.js';
import { pictureOf } from '../web/src/picture.js';
import { readSeed } from '../web/src/sampler.js';
import { TextStream, Tokenizer } from '../web/src/tokenizer.js';
import { load } from './model.mjs';

const USAGE =
  'node main.mjs BUNDLE [--prompt TEXT] [--length N] [--temperature T] [--top-k K] [--top-p P] [--seed S] [--json]' +
  ' | --check | --time N, each with [--artifact PATH]';
const OPTIONS = {
  ...Object.fromEntries(
    ['prompt', 'length', 'temperature', 'top-k', 'top-p', 'seed', 'artifact', 'time', 'image'].map((name) => [
      name,
      { type: 'string' },
    ]),
  ),
  check: { type: 'boolean' },
  json: { type: 'boolean' },
};
const LENGTH = 200;
const WARM_UP_STEPS = 20;

async function main(argv) {
  const { flags, folder } = readArguments(argv);
  const time = number(flags, 'time', { least: 1 });
  const length = number(flags, 'length', { fallback: LENGTH });
  const given = { temperature: real(flags, 'temperature'), topK: number(flags, 'top-k'), topP: real(flags, 'top-p'), length };
  const seed = readSeed(flags.seed ?? 0);
  const model = await load(folder, flags.artifact ?? null);
  if (flags.check) return printCheck(await check(model));
  if (time)
    return print(JSON.stringify({ artifact: model.artifact.path, steps: time, median_us: await medianStep(model, time) }));
  requireText(model);
  if (pictureOf(model))
    throw new BundleError(`${folder} is a captioner, expected a language model here; caption pictures with ../web or ../python`);
  if (model.encoder)
    throw new BundleError(
      `encode takes ${model.bundle.encode.inputs[0].name}, which this example does not make; use it as a library`,
    );
  return write(model, flags, seed, given);
}

function readArguments(argv) {
  let parsed;
  try {
    parsed = parseArgs({ args: argv, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new BundleError(`${reason(error)}; expected: ${USAGE}`);
  }
  const { values: flags, positionals } = parsed;
  if (positionals.length !== 1) throw new BundleError(`${positionals.length} bundles were given, expected one; use: ${USAGE}`);
  if (flags.image)
    throw new BundleError(
      `--image ${flags.image}: this example decodes no pictures, expected text; caption pictures with ../web or ../python`,
    );
  return { flags, folder: positionals[0] };
}

/** Read a flag that is a whole number. */
function number(flags, name, { least = 0, fallback = undefined } = {}) {
  const value = real(flags, name) ?? fallback;
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
    throw new BundleError(`--${name} is ${flags[name]}, expected a whole number of ${least} or more; change it`);
  }
  return value;
}

function real(flags, name) {
  if (flags[name] === undefined) return undefined;
  const value = Number(flags[name]);
  if (flags[name].trim() === '' || !Number.isFinite(value))
    throw new BundleError(`--${name} is ${JSON.stringify(flags[name])}, expected a number; change it`);
  return value;
}

async function write(model, flags, seed, given) {
  const tokenizer = await Tokenizer.load(model.bundle);
  const prompt = tokenizer.encode(flags.prompt ?? '');
  const first = start(model, prompt, { seed });
  const [tokens, stream] = [[], new TextStream(tokenizer)];
  const read = stream.pushAll(prompt); // as the model reads it
  if (!flags.json) process.stdout.write(read);
  for await (const { token } of generate(model, first, given)) {
    tokens.push(token);
    if (!flags.json) process.stdout.write(stream.push(token));
  }
  if (!flags.json) process.stdout.write(stream.flush());
  print(flags.json ? JSON.stringify({ artifact: model.artifact.path, tokens, text: tokenizer.decode(tokens) }) : '');
  return 0;
}

function printCheck(rows) {
  for (const row of rows)
    print(`${row.name.padEnd(16)} ${row.worst?.toExponential(1) ?? '-'} ${row.tolerance} ${verdictOf(row)}`);
  return rows.every(({ ok }) => ok) ? 0 : 1;
}

/** Return the median time of a step in µs, over the golden run's inputs, each step on the last one's state. */
async function medianStep(model, count) {
  const path = model.bundle.manifest.golden;
  if (path === null)
    throw new BundleError('the bundle has no recorded run, expected one to take inputs from; export the bundle again');
  const golden = await readGolden(model);
  const [steps, times] = [stepsOf(model, golden), []];
  const pick = (specs) => Object.fromEntries(specs.map(({ name }) => [name, golden[name]]));
  const contexts = pick(model.contexts);
  let state = pick(model.states);
  for (let at = 0; at < WARM_UP_STEPS + count; at++) {
    const fresh = model.inputs.map(({ name }) => [name, row(golden[name], at % steps)]);
    const inputs = { ...Object.fromEntries(fresh), ...contexts };
    const from = performance.now();
    ({ state } = await model.step(inputs, state));
    if (at >= WARM_UP_STEPS) times.push((performance.now() - from) * 1000);
  }
  return Math.round(times.sort((a, b) => a - b)[times.length >> 1] * 10) / 10;
}

function print(line) {
  process.stdout.write(`${line}\n`);
}

process.stdout.on('error', () => process.exit(0)); // the reader, such as head, has seen enough
try {
  process.exitCode = (await main(process.argv.slice(2))) ?? 0;
} catch (error) {
  const told =
    error instanceof BundleError ? error.message : `the bundle cannot be used (${error?.name}: ${reason(error)}); export it again`;
  process.stderr.write(`error: ${told.replaceAll(/\p{Cc}+/gu, ' ')}\n`);
  process.exitCode = 2;
}
