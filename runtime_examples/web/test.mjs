// End to end in headless Chromium: node test.mjs SPEC.json [SCENARIO …], all of them by default. A line of JSON per scenario,
// { name, ok, detail, seconds }; exit 1 where one failed. SPEC says where the bundles are and what Python made of them; tests/runtime_examples/test_web.py writes it.

import { readFile } from 'node:fs/promises';

import { browse, check, checkDevice, equal, error, launch, openBundle, slide, status, write } from './play.mjs';
import { serve } from './serve.mjs';
import { MORE_SCENARIOS } from './test_inputs.mjs';

const SCENARIOS = {
  async 'text equals Python, token for token'({ page, spec }) {
    await openBundle(page, spec.text);
    equal(await writeGreedy(page, spec.greedy), spec.greedy.text);
    check(Number((await page.textContent('.rate')).replace(/\D/g, '')) > 0, 'a rate is shown');
  },
  async 'the same seed writes the text of Python'({ page, spec }) {
    await openBundle(page, spec.text);
    for (const seeded of spec.seeded) equal(await write(page, seeded), seeded.text);
    await page.fill('#seed', '-1');
    await page.click('#write');
    await error(page, 'the seed is "-1", expected a whole number from 0 to 18446744073709551615');
  },
  async 'a module runs without the runtime, and both are timed'({ page, spec, requests }) {
    if (!spec.compiled) return; // nothing here makes modules
    const { place, name, greedy, small } = spec.compiled;
    const server = await serve({ bundles: [place] });
    try {
      await page.goto(server.url);
      await openBundle(page, name);
      check((await page.textContent('#status')).includes('as a WebAssembly module'), 'what runs is told');
      equal(await writeGreedy(page, greedy), greedy.text);
      await checkDevice(page);
      await page.selectOption('#artifact', small);
      await status(page, `is ready: ${small}`);
      await checkDevice(page);
      const own = requests.filter((each) => each.startsWith(server.url));
      check(own.length > 0 && !own.some((each) => each.includes('/vendor/')), 'nothing of the runtime is loaded');
      await page.click('#time');
      await page.waitForSelector('#speeds:not([hidden])');
      const rows = await page.locator('#speeds tbody tr').allTextContents();
      for (const what of ['c/stepWebAssembly module', 'onnx/step.onnxonnxruntime-web'])
        check(
          rows.some((row) => row.startsWith(what)),
          `${what} is timed`,
        );
      check((await page.textContent('#speed-note')).includes('The fastest here is'), 'the fastest is told');
    } finally {
      await server.close();
    }
  },
  async 'byte pairs, and a recording of their widest output in parts'({ page, spec }) {
    await openBundle(page, spec.pairs);
    equal(await write(page, spec.of_pairs), spec.of_pairs.text);
    check(
      (await checkDevice(page)).some((row) => row.startsWith('logits.log_sum')),
      'the parts have rows',
    );
  },
  async 'what goes on from words stands a space apart, after a prompt and where it is continued'({ page, spec }) {
    await openBundle(page, spec.words);
    const { prompt, length, temperature, seed, texts } = spec.of_words;
    await write(page, { prompt, length, temperature, seed });
    equal(await page.textContent('.written'), texts[0]);
    await page.click('#continue');
    await page.waitForFunction((wanted) => document.querySelector('.written').textContent === wanted, texts[1]);
  },
  async 'a network without a tokenizer is checked, and no more'({ page, spec }) {
    await openBundle(page, spec.frames);
    for (const panel of ['text-panel', 'caption-panel']) check(await page.isHidden(`#${panel}`), `${panel} is hidden`);
    check(/^A step takes \w+, \w+ \[/.test(await page.textContent('#module-takes')), 'what it takes is told');
    check(
      (await checkDevice(page)).some((row) => row.startsWith('memory_next')),
      'its states have rows',
    );
    await openBundle(page, spec.text);
    check(await page.isVisible('#text-panel'), 'text can be written with the next bundle');
  },
  async 'a prompt may be empty'({ page, spec }) {
    await openBundle(page, spec.text);
    equal(await writeGreedy(page, spec.empty), spec.empty.text);
  },
  async 'a learned first state and steps of int8'({ page, spec }) {
    await openBundle(page, spec.learned);
    equal(await writeGreedy(page, spec.learned_greedy), spec.learned_greedy.text);
    await page.selectOption('#artifact', 'onnx/step-int8.onnx');
    await status(page, 'is ready: onnx/step-int8.onnx');
    check((await writeGreedy(page, spec.learned_greedy)).length === spec.learned_greedy.length, 'int8 writes as many tokens');
    await checkDevice(page);
  },
  async 'the check is green, in float32 and int8'({ page, spec }) {
    await openBundle(page, spec.text);
    const rows = (await checkDevice(page)).join(' ');
    for (const name of ['logits', 'h_next', 'uniforms', 'sampler', 'tokenizer'])
      check(rows.includes(name), `${name} has a row`);
    await page.selectOption('#artifact', 'onnx/step-int8.onnx');
    await status(page, 'is ready: onnx/step-int8.onnx');
    check(
      (await checkDevice(page)).some((row) => row.includes('[0]')),
      'states are judged layer by layer',
    );
  },
  async 'a file in integers comes after the one in floats, and is told to be slow'({ page, spec }) {
    await openBundle(page, spec.integers_first);
    await status(page, 'is ready: onnx/step.onnx');
    const choices = await page.locator('#artifact option').allTextContents();
    check(!choices[0].includes('slow') && choices[1].includes('int8') && choices[1].includes('slow here'), choices.join());
    equal(await writeGreedy(page, spec.greedy), spec.greedy.text);
    await page.selectOption('#artifact', 'onnx/step-int8.onnx');
    await status(page, 'takes longer in integers than in float32');
  },
  async 'a golden run of another model fails'({ page, spec }) {
    await openBundle(page, spec.wrong_golden);
    await page.click('#check');
    await page.waitForSelector('#verdict.failed');
    const [failed] = await page.locator('#rows td.failed').allTextContents();
    check(/^✗ FAILED: parts at step \d+ of 0 to \d+ by /.test(failed), `the row that failed says where: ${failed}`);
  },
  async 'stop, then continue'({ page, spec }) {
    await openBundle(page, spec.text);
    await page.fill('#length', '1000000');
    await page.click('#write');
    await page.waitForFunction(() => document.querySelector('.new')?.textContent.length > 50);
    await page.click('#stop');
    await status(page, 'tokens, the first after');
    const before = (await page.textContent('.new')).length;
    await page.fill('#length', '10');
    await page.click('#continue');
    await status(page, ' 10 tokens');
    equal((await page.textContent('.new')).length, before + 10);
  },
  async 'a state is saved, restored and forked'({ page, spec }) {
    await openBundle(page, spec.text);
    const half = Math.floor(spec.greedy.length / 2);
    await writeGreedy(page, { ...spec.greedy, length: half });
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save')]);
    await openBundle(page, spec.text, { reload: true });
    await page.setInputFiles('#restore', await download.path());
    await status(page, `after ${half} tokens is back`);
    await slide(page, 'temperature', 0);
    await page.fill('#length', String(spec.greedy.length - half));
    await page.click('#fork');
    await page.click('#continue');
    await status(page, 'Restored: .* Fork: ');
    const whole = spec.greedy.prompt + spec.greedy.text;
    equal(await page.locator('#texts .written').allTextContents(), [whole, whole]);
    await slide(page, 'temperature', 1.5);
    await page.click('#continue');
    await page.waitForFunction(
      (length) =>
        document.querySelector('.written').textContent.length > length && !document.getElementById('continue').disabled,
      whole.length,
    );
    const [one, other] = await page.locator('#texts .written').allTextContents();
    check(one !== other, 'the fork goes another way');
    await openBundle(page, spec.learned, { reload: true });
    await page.setInputFiles('#restore', await download.path());
    await error(page, 'of another model');
  },
  async 'a picture has its caption, and each word its attention'({ page, spec }) {
    await openBundle(page, spec.captions);
    await page.setInputFiles('#picture', spec.picture);
    await status(page, 'Caption: ');
    equal((await page.locator('#words button').allTextContents()).join(' '), spec.caption);
    const plain = await pixels(page);
    await page.locator('#words button').first().focus();
    const first = await pixels(page);
    await page.keyboard.press('Tab');
    const second = await pixels(page);
    check(first !== plain && second !== first, 'each word has a map of its own');
    check(/row \d+, column \d+ of \d+/.test(await page.textContent('#where')), 'the place is told in words');
    await page.keyboard.press('Enter');
    equal(await page.locator('#words button[aria-pressed=true]').count(), 1);
    await checkDevice(page);
    await page.click('#draw');
    await status(page, 'Caption: ');
  },
  async 'a question about a picture has its answer, with its running scores'({ page, spec }) {
    await openBundle(page, spec.asked.bundle);
    await page.setInputFiles('#ask-picture', spec.picture);
    await status(page, 'Ask something about the picture');
    await page.fill('#question', spec.asked.question);
    await page.press('#question', 'Enter');
    await status(page, `^Answer: ${spec.asked.answer}, `);
    equal(await page.locator('#ask-words button').allTextContents(), spec.asked.words);
    equal(await answers(page), spec.asked.running.at(-1));
    const last = await page.evaluate(() => document.getElementById('ask-view').toDataURL());
    await page.locator('#ask-words button').first().focus();
    equal(await answers(page), spec.asked.running[0]);
    const first = await page.evaluate(() => document.getElementById('ask-view').toDataURL());
    check(last !== first, 'each word has a map of its own');
    await page.fill('#question', 'zebra');
    await page.press('#question', 'Enter');
    await error(page, 'knows no word of the question "zebra"');
    await page.fill('#question', ' ');
    await page.press('#question', 'Enter');
    await error(page, 'there is no question');
    await page.click('#ask-draw');
    await status(page, 'Ask something about the picture');
    await checkDevice(page);
  },
  async 'a text is translated step by step, with where the model looked'({ page, spec }) {
    await openBundle(page, spec.translated.bundle);
    await page.fill('#source-text', spec.translated.text);
    await page.press('#source-text', 'Enter');
    await status(page, `^Translation: ${spec.translated.translation}$`);
    equal(await page.locator('#target-written button').count(), spec.translated.translation.length);
    const lights = () =>
      page.evaluate(() =>
        [...document.querySelectorAll('#source-read span')].map((mark) => +mark.style.getPropertyValue('--light')),
      );
    for (const at of [0, spec.translated.attention.length - 1]) {
      await page.locator('#target-written button').nth(at).focus();
      const found = await lights();
      equal(found.length, spec.translated.text.length);
      const far = found.map((light, place) => Math.abs(light - spec.translated.attention[at][place]));
      check(Math.max(...far) < 1e-4, 'the text is shaded as the model looked');
    }
    check(/looked most at/.test(await page.textContent('#translate-where')), 'the place is told in words');
    await page.fill('#source-text', 'zebra');
    await page.press('#source-text', 'Enter');
    await error(page, 'which this model never saw');
    await page.fill('#source-text', ' ');
    await page.press('#source-text', 'Enter');
    await error(page, 'there is no text');
    await checkDevice(page);
  },
  async 'a picture of a label is painted step by step, the same of the same seed'({ page, spec }) {
    await openBundle(page, spec.painted);
    equal(await page.locator('#paint-label option').allTextContents(), ['left', 'right']);
    const view = () => page.evaluate(() => document.getElementById('paint-view').toDataURL());
    const paint = async (label, seed) => {
      await page.selectOption('#paint-label', label);
      await page.fill('#paint-seed', seed);
      await page.fill('#paint-steps', '3');
      await page.click('#paint-form button');
      await status(page, `^Painted ${label} in 3 steps`);
      return view();
    };
    const first = await paint('left', '4');
    const second = await paint('right', '4');
    check(first !== second && first !== (await paint('left', '5')), 'labels and seeds paint otherwise');
    equal(await paint('left', '4'), first);
    await slide(page, 'paint-step', 1);
    equal(await page.textContent('#paint-told'), 'After step 1 of 3.');
    check((await view()) !== first, 'each step has its picture');
    await page.fill('#paint-steps', '0');
    await page.evaluate(() => document.getElementById('paint-form').setAttribute('novalidate', ''));
    await page.click('#paint-form button');
    await error(page, 'steps is 0, expected a whole number from 1');
    await checkDevice(page);
  },
  async 'what is no picture is refused'({ page, spec }) {
    await openBundle(page, spec.captions);
    await page.setInputFiles('#picture', { name: 'note.png', mimeType: 'image/png', buffer: Buffer.from('no picture') });
    await error(page, 'note.png is no picture');
  },
  async 'a prompt the model cannot read names the character'({ page, spec }) {
    await openBundle(page, spec.text);
    await page.fill('#prompt', 'a§');
    await page.click('#write');
    await error(page, '"§"');
    await status(page, 'That did not work');
    await checkDevice(page);
    check((await page.textContent('#status')).includes('is ready: '), 'a failure is told until the next action');
  },
  async 'damage is told in words'({ page, spec }) {
    for (const [name, said] of Object.entries(spec.damaged)) {
      await page.selectOption('#bundle', { label: name });
      await error(page, said);
      await status(page, `${spec.text} is still open`);
    }
    equal(await page.textContent('#bundle option:checked'), spec.text);
    equal(await writeGreedy(page, spec.greedy), spec.greedy.text);
    check(await page.isHidden('#error'), 'the bundle that was open is as it was');
  },
  async 'a folder or an .edgernn file of this device'({ page, spec }) {
    await page.setInputFiles('#folder', spec.folder);
    await status(page, 'is ready: ');
    equal(await writeGreedy(page, spec.greedy), spec.greedy.text);
    await page.setInputFiles('#zip', spec.zip);
    await status(page, '\\.edgernn is ready: ');
    equal(await writeGreedy(page, spec.greedy), spec.greedy.text);
    await page.setInputFiles('#zip', {
      name: 'bad.edgernn',
      mimeType: 'application/zip',
      buffer: Buffer.from('no zip at all, but long enough'),
    });
    await error(page, 'is no zip');
  },
  async 'works offline after the first load'({ page, spec, server }) {
    await openBundle(page, spec.text);
    await server.close();
    await page.reload();
    await openBundle(page, spec.text);
    equal(await writeGreedy(page, spec.greedy), spec.greedy.text);
    await page.selectOption('#bundle', { label: spec.captions });
    await error(page, 'no network');
  },
  async 'a list that is a page is told, and a bundle of the visitor opens'({ page, context, spec, url }) {
    await context.route('**/bundles.json', (route) => route.fulfill({ body: '<!doctype html>' }));
    await page.addInitScript(() => {
      ServiceWorkerContainer.prototype.register = () => new Promise(() => {}); // a network that does not answer
    });
    await page.goto(url);
    await error(page, 'bundles.json of this site is no list of bundles');
    await page.setInputFiles('#zip', spec.zip);
    await status(page, 'is ready: ');
  },
  async 'a browser without SIMD is told so'({ page, url }) {
    await page.addInitScript(() => {
      WebAssembly.validate = () => false;
    });
    await page.goto(url);
    await error(page, 'no WebAssembly SIMD');
  },
  async 'fits a phone, every control has a name, nothing is loaded from elsewhere'({ page, spec, url, requests, complaints }) {
    await page.setViewportSize({ width: 390, height: 800 });
    for (const name of [spec.text, spec.captions, spec.asked.bundle, spec.translated.bundle, spec.painted]) {
      await openBundle(page, name);
      check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is as wide as the screen`);
    }
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('input, select, textarea, button')]
        .filter((control) => !(control.labels?.length || control.textContent.trim()))
        .map(({ id }) => id),
    );
    equal(nameless, []);
    equal([...new Set(requests.map((each) => new URL(each).origin))], [new URL(url).origin]);
    equal(complaints, []);
  },
};

function writeGreedy(page, { prompt, length }) {
  return write(page, { prompt, length, temperature: 0, seed: 0 });
}

/** The answers as they are shown: each name with its share. */
async function answers(page) {
  const rows = await page.locator('#answers li').allTextContents();
  return rows.map((row) => row.replace(/\s+/g, ' ').trim());
}

function pixels(page) {
  return page.evaluate(() => document.getElementById('view').toDataURL());
}

async function play(browser, scenario, spec) {
  const server = await serve({ bundles: spec.bundles });
  const { page, context, requests, complaints, close } = await browse(browser, server.url);
  try {
    await scenario({ page, context, spec, server, url: server.url, requests, complaints });
    return { ok: true };
  } catch (thrown) {
    return { ok: false, detail: `${thrown.message.slice(0, 1500)} ${complaints.join(' ')}` };
  } finally {
    await close();
    await server.close().catch(() => {}); // a scenario may have closed it
  }
}

const spec = JSON.parse(await readFile(process.argv[2], 'utf8'));
const browser = await launch({ media: true });
const wanted = process.argv.slice(3);
for (const [name, scenario] of Object.entries({ ...SCENARIOS, ...MORE_SCENARIOS })) {
  if (wanted.length && !wanted.includes(name)) continue;
  const from = performance.now();
  const result = { ...(await play(browser, scenario, spec)), seconds: Math.round((performance.now() - from) / 100) / 10 };
  if (!result.ok) process.exitCode = 1;
  process.stdout.write(`${JSON.stringify({ name, ...result })}\n`);
}
await browser.close();
