// Frames for a network that takes them: pictures of the camera or of files, blocks of sound, numbers of a file or of sliders; what
// it says after each, and its state over time. The state is kept here, a frame's in and the next one's out.

import { openCamera, openMicrophone } from './media.js';
import { framesOfFile } from './number_file.js';
import { attempt, element, onFile, showError, tell } from './page.js';
import { drawPicture, pixelsOf } from './picture_view.js';
import { best, percent, showShares } from './shares_view.js';
import { History } from './src/history.js';
import { stateMap } from './state_map.js';

const MOST_SLIDERS = 16;
const MOST_TOLD = 12; // labels of a file's frames
const LEAST_BLOCK = 32; // numbers a step from which they may be a block of sound; else one is a sample
const SOUND =
  ' The microphone gives them as samples from -1 to 1, one after the other: right only for a network that was trained on raw sound. A' +
  ' bundle names no rate, so give that of the training.';
const HERTZ = [3000, 96_000]; // what browsers resample to
const [KEPT, SHOWN_VALUES, REDRAW_MS] = [400, 8, 100];

export function startFramesPanel(engine) {
  const map = stateMap(element('frames-map'), 'the frames');
  const [said, list, view, rate] = ['frames-said', 'frames-answers', 'frames-view', 'frames-rate'].map(element);
  let [model, takes, state, history, source, number, drawn] = [null, null, null, null, null, 0, 0];
  const redraw = () => {
    drawn = performance.now();
    if (!history.labels.length) return;
    element('frames-map').hidden = false;
    map.show(history.rows(), history.labels, history.first);
  };
  const stop = () => {
    source?.close();
    source = null;
    for (const id of ['frames-camera', 'frames-microphone']) element(id).setAttribute('aria-pressed', 'false');
  };
  const begin = () => {
    stop();
    number += 1;
    state = null;
    history = new History(model.states, KEPT);
    map.clear();
    element('frames-map').hidden = true;
    list.replaceChildren();
    said.textContent = 'What the network says will stand here.';
    drawPicture(view, null, null);
  };
  /** Step through frames; returns what is said after the last, or null where the network began anew meanwhile. */
  const feed = async (frames, label) => {
    const mine = number;
    const made = await engine.call('feed', { frames, state });
    if (mine !== number) return null;
    state = made.state;
    history.push(state, label);
    show(made.said);
    if (performance.now() - drawn > REDRAW_MS) redraw();
    return made.said;
  };
  const show = (values) => {
    if (takes.labels) {
      showShares(list, takes.labels, values);
      const late = takes.late ? ` of the frame ${takes.late} steps before` : '';
      said.textContent = `${takes.labels[best(values)[0]]}, ${percent(values[best(values)[0]])}${late}`;
    } else
      said.textContent =
        `${takes.output}: ${[...values.slice(0, SHOWN_VALUES)].map((value) => value.toFixed(3)).join(', ')}` +
        (values.length > SHOWN_VALUES ? ` and ${values.length - SHOWN_VALUES} more` : '');
  };
  const feedAll = async (frames, names) => {
    begin();
    tell('Stepping…');
    const [mine, labels] = [number, []];
    const after = takes.labels ? Array(takes.late).fill(frames.at(-1)) : []; // the last answers come late
    for (const [at, frame] of [...frames, ...after].entries()) {
      if (takes.kind === 'pictures') drawPicture(view, frame, null);
      const values = await feed([frame], names[at]);
      if (mine !== number) return;
      if (takes.labels && at >= takes.late) labels.push(takes.labels[best(values)[0]]);
    }
    redraw();
    const [told, more] = [labels.slice(-MOST_TOLD).join(', '), labels.length > MOST_TOLD ? 'the last ones ' : ''];
    tell(`${frames.length} frames: ${takes.labels ? `${more}${told}` : said.textContent}.`);
  };
  /** Begin with a source, or end it where it runs; `open` gets what is to be called with frames and gives { close }. */
  const toggle = (id, open) =>
    attempt(async () => {
      const running = element(id).getAttribute('aria-pressed') === 'true';
      if (running) {
        number += 1; // what is still on its way is no more heard
        stop();
        redraw();
        return tell('Stopped; what it said last stays.');
      }
      begin();
      let [busy, missed, count] = [false, 0, 0];
      const onFrames = async (frames, label) => {
        if (busy) return (missed += frames.length);
        busy = true;
        count += frames.length;
        try {
          await feed(frames, label(count));
        } catch (error) {
          stop();
          showError(error);
        }
        busy = false;
        element('frames-missed').textContent = missed ? `${missed} frames came while a step ran, and were passed over.` : '';
      };
      const mine = number;
      element(id).setAttribute('aria-pressed', 'true');
      tell('Opening…');
      try {
        const opened = await open(onFrames);
        if (mine !== number) return opened.close();
        source = opened;
      } catch (error) {
        if (mine === number) stop();
        throw error;
      }
      tell('Running; press again to stop.');
    });

  element('frames-camera').addEventListener('click', () =>
    toggle('frames-camera', async (onFrames) => {
      const [camera, every] = [await openCamera(), 1000 / rateOf(rate, 1, 60)];
      const timer = setInterval(() => {
        const picture = camera.grab();
        drawPicture(view, picture, null);
        onFrames([picture], String);
      }, every);
      const close = () => {
        clearInterval(timer);
        camera.close();
      };
      return { close };
    }),
  );
  element('frames-microphone').addEventListener('click', () =>
    toggle('frames-microphone', (onFrames) => {
      const hertz = rateOf(rate, ...HERTZ);
      const loud = (blocks) =>
        Math.sqrt(blocks.flatMap((block) => [...block]).reduce((sum, x, _, all) => sum + (x * x) / all.length, 0));
      return openMicrophone({ rate: hertz, width: takes.width }, (blocks) => {
        element('frames-level').value = loud(blocks);
        onFrames(blocks, (count) => `${((count * takes.width) / hertz).toFixed(2)} s`);
      });
    }),
  );
  onFile('frames-pictures', async (files) => {
    const sorted = files.sort((one, other) => one.name.localeCompare(other.name, 'en', { numeric: true }));
    return feedAll(
      await Promise.all(sorted.map(pixelsOf)),
      sorted.map(({ name }) => name),
    );
  });
  onFile('frames-numbers', async ([file]) => feedAll(await framesOfFile(file, takes.width), []));
  element('frames-begin').addEventListener('click', () => {
    begin();
    tell('At the first state.');
  });
  element('frames-step').addEventListener('click', () =>
    attempt(async () => {
      if (source) begin();
      const values = [...element('frames-sliders').querySelectorAll('input')].map((input) => Number(input.value));
      await feed([Float32Array.from(values)], '');
      redraw();
      tell(`Step ${history.first + history.labels.length}: ${said.textContent}.`);
    }),
  );
  return {
    show: (opened) => {
      [model, takes] = [opened, opened.frames];
      offer(takes, rate);
      begin();
    },
    end: () => stop(),
  };
}

/** Show what fits the frames that a network takes. */
function offer({ kind, width, picture, input }, rate) {
  const [pictures, sound] = [kind === 'pictures', kind === 'vectors' && (width === 1 || width >= LEAST_BLOCK)];
  const sliders = kind === 'vectors' && width <= MOST_SLIDERS;
  const shown = {
    camera: pictures,
    pictures,
    stage: pictures,
    microphone: sound,
    meter: sound,
    numbers: !pictures,
    step: sliders,
    rates: pictures || sound,
  };
  for (const [name, is] of Object.entries(shown)) {
    const target = element(`frames-${name}`);
    (target.closest('label') ?? target).hidden = !is;
  }
  rate.value = pictures ? 10 : 16_000;
  element('frames-rate-name').textContent = pictures ? 'Pictures a second' : 'Samples a second';
  element('frames-takes').textContent = pictures
    ? `A step takes ${input}: a picture of ${picture.width} × ${picture.height} pixels, ${picture.channels === 1 ? 'grey' : 'in colours'}.`
    : `A step takes ${input}: ${width} number${width === 1 ? '' : 's'}.${sound ? SOUND : ''}`;
  const fields = Array.from({ length: sliders ? width : 0 }, (_, at) => {
    const field = Object.assign(document.createElement('label'), { className: 'field', textContent: `${input} ${at + 1} ` });
    const slider = Object.assign(document.createElement('input'), { type: 'range', min: -2, max: 2, step: 0.05, value: 0 });
    field.append(slider);
    return field;
  });
  element('frames-sliders').replaceChildren(...fields);
}

function rateOf(input, least, most) {
  const value = Number(input.value);
  if (!(value >= least && value <= most))
    throw new Error(`the rate is “${input.value}”, expected ${least} to ${most} a second; change it`);
  return value;
}
