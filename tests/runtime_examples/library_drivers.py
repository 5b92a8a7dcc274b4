"""Programs that use a host as a library, a row each in ``hosts.HOSTS``: open a bundle, begin it
with the recorded inputs of encode, feed four recorded steps, and print what came out as JSON.

Printed are ``[[first, [outputs, state], …], [ids, scores, attention]]``: contexts and first state
by name, each step's outputs and next state, and the names of the tensors that the host found.
"""

from __future__ import annotations

PYTHON = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from model import load
from tensors import read_tensors
folder = Path(sys.argv[2])
model = load(folder)
recorded = read_tensors((folder / "golden.safetensors").read_bytes(), "golden")
inputs = {t["name"]: recorded[t["name"]] for t in model.encoder.inputs} if model.encoder else None
contexts, state = model.begin(inputs)
plain = lambda arrays: {name: array.tolist() for name, array in arrays.items()}
told = [plain({**contexts, **state})]
for at in range(4):
    fresh = {name: recorded[name][at] for name in model.names("input")}
    outputs, state = model.step({**fresh, **contexts}, state)
    told.append([plain(outputs), plain(state)])
found = [each and each["name"] for each in (model.ids, model.scores, model.attention)]
print(json.dumps([told, found]))
"""

NODE = """
import { load } from './model.mjs';
import { readGolden, row } from '../web/src/golden.js';
import { numbers } from '../web/src/safetensors.js';
const model = await load(process.argv[1]);
const golden = await readGolden(model);
const pick = (specs, of) => Object.fromEntries((specs ?? []).map(({ name }) => [name, of(name)]));
const shaped = (values, [size, ...rest]) => {
  if (size === undefined) return values[0];
  const part = values.length / size;
  const each = (_, at) => shaped(values.slice(at * part, (at + 1) * part), rest);
  return Array.from({ length: size }, each);
};
const plain = (tensors) => {
  const made = Object.entries(tensors).map(([name, each]) => [name, shaped(numbers(each), each.dims)]);
  return Object.fromEntries(made);
};
const given = pick(model.bundle.encode?.inputs, (name) => golden[name]);
let { contexts, state } = await model.begin(given);
const told = [plain({ ...contexts, ...state })];
for (let at = 0; at < 4; at++) {
  const fresh = pick(model.inputs, (name) => row(golden[name], at));
  const made = await model.step({ ...fresh, ...contexts }, state);
  ({ state } = made);
  told.push([plain(made.outputs), plain(state)]);
}
const found = [model.ids, model.scores, model.attention].map((each) => each?.name ?? null);
console.log(JSON.stringify([told, found]));
"""
