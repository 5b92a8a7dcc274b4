// Choosing a bundle: from the list that the server gives, by its address, a folder or a .edgernn file, chosen or dropped; and
// one of its model files.

import { bundleAt, bundleOfPage } from './address.js';
import { onBundleDrop } from './dropped.js';
import { attempt, element, onFile, showError, tell } from './page.js';

const LIST = 'bundles.json'; // [{ "name": "…", "path": "bundles/…/" }]
const [KILOBYTE, MEGABYTE] = [1e3, 1e6];
const NAMES = { 'WebAssembly module': 'a WebAssembly module, without a runtime', 'onnxruntime-web': 'a file of onnxruntime-web' };
const SLOW = ', which takes longer in integers than in float32; a module of C does not';

/** `onModel` hears of each opened model (the worker's open) with where it came from, and null while there is none. */
export async function startBundlePanel(engine, onModel) {
  let current = null; // { source, place }
  let last = 0; // of the openings: one that was overtaken by another is not shown
  const open = async (choice, artifact = null) => {
    const mine = ++last;
    onModel(null);
    element('artifact').disabled = true;
    tell(`Opening ${choice.place}…`);
    const from = performance.now();
    const model = await engine.call('open', { ...choice, artifact }).catch((error) => {
      if (mine === last) throw error;
    });
    if (mine !== last) return;
    current = choice;
    showArtifacts(model);
    onModel(model, choice);
    const { bytes, runtime, slow } = model.artifacts.find(({ path }) => path === model.artifact);
    const took = Math.round(performance.now() - from);
    const how = `${NAMES[runtime] ?? runtime}${slow ? SLOW : ''}`;
    tell(`${choice.place} is ready: ${model.artifact}, ${sizeOf(bytes)}, in ${took} ms; it runs as ${how}.`);
  };
  const fromOutside = (choice) => {
    mark(choice.place);
    return open(choice);
  };

  element('artifact').addEventListener('change', ({ target }) => attempt(() => open(current, target.value)));
  onFile('folder', (files) => fromOutside(folderOf(files)));
  onFile('zip', ([zip]) => fromOutside({ source: { zip }, place: zip.name }));
  element('address-form').addEventListener('submit', (event) => {
    event.preventDefault();
    attempt(() => fromOutside(bundleAt(element('address').value)));
  });
  element('address-go').disabled = false; // from here on the form is heard
  onBundleDrop(element('bundle-card'), (choice) => attempt(() => fromOutside(choice)), showError);
  await attempt(() => startList(open, fromOutside));
}

async function startList(open, fromOutside) {
  const response = await fetch(LIST).catch(() => null);
  const list = response?.ok ? await response.json() : [];
  const select = element('bundle');
  select.replaceChildren(...list.map(({ name, path }) => new Option(name, path)));
  select.disabled = !list.length;
  const chosen = () => ({ source: { url: new URL(select.value, location.href).href }, place: select.selectedOptions[0].text });
  select.addEventListener('change', () => {
    select.querySelector('option[value=""]')?.remove();
    attempt(() => open(chosen()));
  });
  const named = ofPage();
  if (named) await fromOutside(named);
  else if (list.length) await open(chosen());
  else tell('Choose a bundle: the folder, or the .edgernn file, that edgernn export wrote.');
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
  showError(null);
  const select = element('bundle');
  select.querySelector('option[value=""]')?.remove();
  select.prepend(new Option(place, '', true, true));
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
