// A step as a WebAssembly module beside onnxruntime-web, in one process: node wasm.mjs BUNDLE node|chromium. A line of JSON,
// { engine, rows: [{ name, least, median }] } in µs a step. benchmarks/wasm.py makes the bundles and the table.

import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const WEB = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../runtime_examples/web');

/** Measure every model file of the bundle at `base`; runs in node and in a page, so it takes all it needs from its arguments. */
async function measure({ base, sources, vendor, inNode }) {
  const [ROUNDS, ROUND_MS, TOKEN] = [60, 8, 3];
  const fs = inNode ? await import('node:fs/promises') : null;
  const read = async (path) =>
    new Uint8Array(fs ? await fs.readFile(base + path).catch(() => null) : await (await fetch(base + path)).arrayBuffer());
  const ort = await import(`${vendor}ort.wasm.min.mjs`);
  ort.env.wasm.wasmPaths = vendor;
  ort.env.wasm.numThreads = 1;
  const runtime = { load: async () => ort, options: { executionProviders: ['wasm'] } };
  const { Bundle } = await import(`${sources}bundle.js`);
  const { Model } = await import(`${sources}model.js`);
  const bundle = await Bundle.open(read, 'bundle');
  const contestants = [];
  for (const { path, libraries } of bundle.choices) {
    for (const library of libraries) {
      const bytes = await read(library.path);
      if (!WebAssembly.validate(bytes)) continue;
      const { exports } = (await WebAssembly.instantiate(bytes, {})).instance;
      new BigInt64Array(exports.memory.buffer, exports.input(0), 1)[0] = BigInt(TOKEN);
      const { run } = exports;
      contestants.push([`${library.path}, run()`, (count) => { for (let at = 0; at < count; at++) run(); }]);
    }
    const model = await Model.load(bundle, path, runtime);
    const inputs = { tokens: model.idTensor([TOKEN]) };
    let state = model.firstState();
    if (!libraries.length) contestants.push([`${path}, session.run()`, bare(model.sessions.step.session, inputs, state)]);
    contestants.push([`${path}, the example's step()`, async (count) => {
      for (let at = 0; at < count; at++) ({ state } = await model.step(inputs, state));
    }]);
  }

  /** The runtime alone, over tensors of its own. */
  function bare(session, inputs, first) {
    const tensorOf = ({ dtype, dims, data }) => new ort.Tensor(dtype, data, dims);
    const feeds = Object.fromEntries(Object.entries({ ...inputs, ...first }).map(([name, each]) => [name, tensorOf(each)]));
    return async (count) => {
      for (let at = 0; at < count; at++) {
        const made = await session.run(feeds);
        for (const name of Object.keys(first)) feeds[name] = made[`${name}_next`];
      }
    };
  }

  const timed = async (call, count) => {
    const from = performance.now();
    await call(count);
    return performance.now() - from;
  };
  const counts = [];
  for (const [, call] of contestants) {
    await timed(call, 2000); // until its code is the fast one
    let count = 8;
    while ((await timed(call, count)) < ROUND_MS) count *= 2;
    counts.push(count);
  }
  const times = contestants.map(() => []);
  for (let round = 0; round < ROUNDS; round++)
    for (const [at, [, call]] of contestants.entries())
      times[at].push(((await timed(call, counts[at])) * 1000) / counts[at]);
  return contestants.map(([name], at) => {
    const sorted = times[at].sort((a, b) => a - b);
    return { name, least: sorted[0], median: sorted[sorted.length >> 1] };
  });
}

async function inNode(folder) {
  const vendor = pathToFileURL(join(WEB, 'vendor/')).href;
  const sources = pathToFileURL(join(WEB, 'src/')).href;
  const rows = await measure({ base: `${resolve(folder)}/`, sources, vendor, inNode: true });
  return { engine: `node ${process.versions.node}, V8 ${process.versions.v8}`, rows };
}

async function inChromium(folder) {
  const { launch } = await import(join(WEB, 'play.mjs'));
  const { serve } = await import(join(WEB, 'serve.mjs'));
  const [browser, server] = [await launch(), await serve({ bundles: [resolve(folder)] })];
  try {
    const page = await browser.newPage();
    await page.goto(`${server.url}bundles.json`); // a page of that address, without a policy
    const given = { base: `/bundles/${basename(resolve(folder))}/`, sources: '/src/', vendor: `${server.url}vendor/`, inNode: false };
    const rows = await page.evaluate(([source, argument]) => new Function(`return ${source}`)()(argument), [String(measure), given]);
    return { engine: `Chromium ${browser.version()}`, rows };
  } finally {
    await browser.close();
    await server.close();
  }
}

const [folder, where] = process.argv.slice(2);
console.log(JSON.stringify(await (where === 'chromium' ? inChromium : inNode)(folder)));
