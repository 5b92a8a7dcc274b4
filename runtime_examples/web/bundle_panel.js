// Choosing a bundle: from the list that the server gives, by its address, a folder or a .edgernn file, chosen or dropped; and
// one of its model files.

import { bundleAt, bundleOfPage } from './address.js';
import { ignoreOtherDrops, onBundleDrop } from './dropped.js';
import { attempt, element, onFile, showError, tell } from './page.js';

const LIST = 'bundles.json'; // [{ "name": "…", "path": "bundles/…/" }]
const [KILOBYTE, MEGABYTE] = [1e3, 1e6];
const NAMES = { 'WebAssembly module': 'a WebAssembly module, without a runtime', 'onnxruntime-web': 'a file of onnxruntime-web' };
const SLOW = ', which takes longer in integers than in float32; a module of C does not';

/**
 * Choose and open. `opening()` is called when another model is to be opened; then `opened(model, from)` with the worker's open and where
 * it came from, or `kept(model)` where that failed and the model before is still open.
 */
export async function startBundlePanel(engine, { opening, opened, kept }) {
  let current = null; // { model, choice, seen }: what the worker has open, and whether it was shown
  let last = 0; // of the openings: one that was overtaken by another is not shown
  const show = (model, choice) => {
    current.seen = true;
    showArtifacts(model);
    opened(model, choice);
  };
  /** After an opening that failed: the model before it, with all that was done with it. */
  const goBack = (error) => {
    if (!current) return error;
    const { model, choice, seen } = current;
    select(choice);
    if (!seen) show(model, choice);
    showArtifacts(model);
    kept(model);
    return Object.assign(error, { left: `${choice.place} is still open.` });
  };
  const open = async (choice, artifact = null) => {
    const mine = ++last;
    opening();
    element('artifact').disabled = true;
    tell(`Opening ${choice.place}…`);
    const from = performance.now();
    const model = await engine.call('open', { ...choice, artifact }).catch((error) => {
      if (mine === last) throw goBack(error);
    });
    if (model) current = { model, choice, seen: false };
    if (mine !== last) return;
    show(model, choice);
    const { bytes, runtime, slow } = model.artifacts.find(({ path }) => path === model.artifact);
    const took = Math.round(performance.now() - from);
    const how = `${NAMES[runtime] ?? runtime}${slow ? SLOW : ''}`;
    tell(`${choice.place} is ready: ${model.artifact}, ${sizeOf(bytes)}, in ${took} ms; it runs as ${how}.`);
  };
  const fromOutside = (choice) => {
    showError(null);
    mark(choice.place);
    return open(choice);
  };

  element('artifact').addEventListener('change', ({ target }) => attempt(() => open(current.choice, target.value)));
  onFile('folder', (files) => fromOutside(folderOf(files)));
  onFile('zip', ([zip]) => fromOutside({ source: { zip }, place: zip.name }));
  element('address-form').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(() => fromOutside(bundleAt(element('address').value)));
  });
  element('address-go').disabled = false; // from here on the form is heard
  onBundleDrop(element('bundle-card'), (choice) => attempt(() => fromOutside(choice)), showError);
  ignoreOtherDrops();
  await attempt(() => startList(open, fromOutside));
}

async function startList(open, fromOutside) {
  const list = await listed();
  const shown = element('bundle');
  shown.replaceChildren(...list.map(({ name, path }) => new Option(name, path)));
  shown.disabled = !list.length;
  const chosen = () => ({ source: { url: new URL(shown.value, location.href).href }, place: shown.selectedOptions[0].text });
  shown.addEventListener('change', () => {
    shown.querySelector('option[value=""]')?.remove();
    attempt(() => open(chosen()));
  });
  const named = ofPage();
  if (named) await fromOutside(named);
  else if (list.length) await open(chosen());
  else tell('Choose a bundle: the folder, or the .edgernn file, that edgernn export wrote.');
}

/** The bundles that the server lists; none where it has no such file. */
async function listed() {
  const response = await fetch(LIST).catch(() => null);
  if (!response?.ok) return [];
  const list = await response.json().catch(() => null); // a host may answer with a page of its own
  if (Array.isArray(list) && list.every((each) => typeof each?.name === 'string' && typeof each.path === 'string')) return list;
  throw new Error(`${LIST} of this site is no list of bundles, expected [{"name": …, "path": …}]; open a bundle of your own`);
}

/** The bundle that the page's address names, or null; where that is no address none is chosen. */
function ofPage() {
  try {
    return bundleOfPage();
  } catch (error) {
    mark('none');
    throw error;
  }
}

/** A folder's files by their path inside it. */
function folderOf(files) {
  const place = files[0].webkitRelativePath.split('/')[0];
  return { source: { files: new Map(files.map((file) => [file.webkitRelativePath.slice(place.length + 1), file])) }, place };
}

/** Show in the list that the open model is none of it. */
function mark(place) {
  const list = element('bundle');
  list.querySelector('option[value=""]')?.remove();
  list.prepend(new Option(place, '', true, true));
}

/** Show in the list which bundle is open. */
function select({ source, place }) {
  const found = [...element('bundle').options].find(({ value }) => value && new URL(value, location.href).href === source.url);
  mark(place);
  if (!found) return;
  element('bundle').querySelector('option[value=""]').remove();
  found.selected = true;
}

function sizeOf(bytes) {
  return bytes < MEGABYTE ? `${Math.ceil(bytes / KILOBYTE)} kB` : `${(bytes / MEGABYTE).toFixed(1)} MB`;
}

function showArtifacts({ artifact, artifacts }) {
  const select = element('artifact');
  const text = ({ path, precision, bytes, runtime, slow }) =>
    `${precision}, ${sizeOf(bytes)}, ${runtime}${slow ? ', slow here' : ''} (${path})`;
  select.replaceChildren(...artifacts.map((each) => new Option(text(each), each.path, false, each.path === artifact)));
  select.disabled = artifacts.length < 2;
}
