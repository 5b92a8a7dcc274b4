"""Programs that use a host as a library, a row each in ``hosts.HOSTS``.

Of the whole: open a bundle, begin it with the recorded inputs of encode or else with so many rows,
feed so many recorded steps, and print what came out as JSON.

Each takes the bundle's folder, the number of rows, that of steps, and the step before which three
rows part, or 0: row 0 begins again, row 1 goes back to where it was after the first step, and row 2
goes on from where row 0 was. It prints ``[[first, [outputs, state], …], found]``: contexts and first
state by name, each step's outputs and next state, and the names of ids, scores and attention, or null
where the host does not look for them. A tensor is its shape and its values.

Of parts: ``--sample FILE`` reads lines of "temperature top_k top_p uniform count logit…" and writes the
id chosen for each; ``--uniform FILE`` reads lines of "seed position" and writes the number;
``--tokens FILE BUNDLE`` reads a JSON array and writes a line for each item: of a text its ids, or !
where it is refused; of a list of ids the pieces of the text as it is written, in hexadecimal digits.
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
rows, steps, change = map(int, sys.argv[3:])
contexts, state = model.begin(inputs, batch=rows)
plain = lambda arrays: {name: [a.shape, a.ravel().tolist()] for name, a in arrays.items()}
told = [plain({**contexts, **state})]
for at in range(steps):
    if change and at == change:
        now, (_, first) = state, model.begin(inputs, batch=rows)
        state = model.set_row(model.set_row(now, 0, first), 1, older, 1)
        state = model.set_row(state, 2, now)
    fresh = {name: recorded[name][at] for name in model.names("input")}
    outputs, state = model.step({**fresh, **contexts}, state)
    told.append([plain(outputs), plain(state)])
    older = older if at else state
found = [each and each["name"] for each in (model.ids, model.scores, model.attention)]
print(json.dumps([told, found]))
"""

NODE = """
import { load } from './model.mjs';
import { row } from '../web/src/golden.js';
import { numbers, parse } from '../web/src/safetensors.js';
const [folder, ...counts] = process.argv.slice(-4);
const [rows, steps, change] = counts.map(Number);
const model = await load(folder);
const { tensors: golden } = parse(await model.bundle.file('golden.safetensors'), 'golden');
const pick = (specs, of) => Object.fromEntries((specs ?? []).map(({ name }) => [name, of(name)]));
const plain = (tensors) => {
  const made = Object.entries(tensors).map(([name, each]) => [name, [each.dims, [...numbers(each)]]]);
  return Object.fromEntries(made);
};
const given = pick(model.bundle.encode?.inputs, (name) => golden[name]);
let { contexts, state } = await model.begin(given, rows);
let older;
const told = [plain({ ...contexts, ...state })];
for (let at = 0; at < steps; at++) {
  if (change && at === change) {
    const now = state;
    const first = await model.begin(given, rows);
    state = model.setRow(model.setRow(now, 0, first.state), 1, older, 1);
    state = model.setRow(state, 2, now);
  }
  const fresh = pick(model.inputs, (name) => row(golden[name], at));
  const made = await model.step({ ...fresh, ...contexts }, state);
  ({ state } = made);
  older ??= state;
  told.push([plain(made.outputs), plain(state)]);
}
const found = [model.ids, model.scores, model.attention].map((each) => each?.name ?? null);
console.log(JSON.stringify([told, found]));
"""

CPP = """
#include <cstdio>
#include "model.hpp"
using namespace edgernn;
static void print(const Tensors& tensors, const char* end) {
  std::printf("{");
  for (const auto& [name, tensor] : tensors) {
    std::printf("%s%s: [%s, [", &tensor == &tensors.begin()->second ? "" : ", ", json_string(name).c_str(),
                to_text(tensor.shape).c_str());
    const char* part = "";
    for (const double value : tensor.numbers()) std::printf("%s%.9g", part, value), part = ", ";
    std::printf("]]");
  }
  std::printf("}%s", end);
}
int main(int, char** values) {
  const auto model = Model::load(values[1]);
  const Tensors recorded = read_safetensors(model->bundle.read("golden.safetensors"), "golden");
  const Contract& contract = model->bundle.contract;
  Tensors given;
  if (contract.encodes()) {
    for (const TensorSpec& spec : contract.graph("encode").inputs) given[spec.name] = recorded.at(spec.name);
  }
  const int rows = std::atoi(values[2]), steps = std::atoi(values[3]), change = std::atoi(values[4]);
  Begun begun = model->begin(given, rows);
  State older;
  Tensors first = begun.contexts;
  first.insert(begun.state.begin(), begun.state.end());
  std::printf("[[");
  print(first, "");
  for (int at = 0; at < steps; ++at) {
    if (change > 0 && at == change) {
      const State now = begun.state;
      begun.state = model->set_row(now, 0, model->begin(given, rows).state);
      begun.state = model->set_row(model->set_row(begun.state, 1, older, 1), 2, now);
    }
    Tensors inputs = begun.contexts;
    for (const TensorSpec& spec : Graph::with_role(contract.graph("step").inputs, "input")) {
      const Tensor& all = recorded.at(spec.name);
      const std::size_t size = all.size() / static_cast<std::size_t>(all.shape[0]);
      const std::size_t place = static_cast<std::size_t>(at) * size;
      inputs[spec.name] = all.part(Shape(all.shape.begin() + 1, all.shape.end()), place, size);
    }
    const Results made = model->step(inputs, begun.state);
    begun.state = made.state;
    if (at == 0) older = made.state;
    std::printf(", [");
    print(made.outputs, ", ");
    print(made.state, "]");
  }
  std::printf("], null]\\n");
}
"""

PYTHON_PARTS = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from errors import BundleError
from sampler import Options, sample, uniform_at
from tokenizer import TextStream, Tokenizer
mode, file = sys.argv[2:4]
given = Path(file).read_text("utf-8")
def line_of(item):
    if isinstance(item, str):
        try:
            return "".join(f"{token} " for token in tokenizer.encode(item))
        except BundleError:
            return "!"
    stream = TextStream(tokenizer)
    pieces = [*(stream.push(token) for token in item), stream.flush()]
    return "|".join(piece.encode().hex() for piece in pieces)
if mode == "--sample":
    for words in map(str.split, given.splitlines()):
        options = Options(1, float(words[0]), int(words[1]), float(words[2]))
        print(sample(np.array(words[5:], np.float32), options, float(words[3])))
elif mode == "--uniform":
    for words in map(str.split, given.splitlines()):
        print(repr(uniform_at(*map(int, words))))
else:
    folder = Path(sys.argv[4])
    entry = json.loads((folder / "manifest.json").read_text("utf-8"))["tokenizer"]
    tokenizer = Tokenizer((folder / entry["path"]).read_bytes(), entry)
    for item in json.loads(given):
        print(line_of(item))
"""

NODE_PARTS = """
import { readFileSync } from 'node:fs';
import { readSeed, sample, uniformAt } from '../web/src/sampler.js';
import { TextStream, Tokenizer } from '../web/src/tokenizer.js';
const [mode, file, folder] = process.argv.slice(process.argv.findIndex((word) => word.startsWith('--')));
const given = readFileSync(file, 'utf8');
const lines = () => given.split('\\n').filter(Boolean).map((line) => line.split(' '));
const hex = (text) => Buffer.from(text).toString('hex');
if (mode === '--sample')
  for (const [temperature, topK, topP, uniform, , ...logits] of lines()) {
    const options = { temperature: Number(temperature), topK: Number(topK), topP: Number(topP), suppress: [] };
    console.log(sample(Float32Array.from(logits, Number), options, Number(uniform)));
  }
if (mode === '--uniform')
  for (const [seed, position] of lines()) console.log(uniformAt(readSeed(seed), Number(position)));
if (mode === '--tokens') {
  const { tokenizer: entry } = JSON.parse(readFileSync(`${folder}/manifest.json`, 'utf8'));
  const tokenizer = Tokenizer.parse(new Uint8Array(readFileSync(`${folder}/${entry.path}`)), entry);
  const encoded = (text) => {
    try {
      return tokenizer.encode(text).map((id) => `${id} `).join('');
    } catch {
      return '!';
    }
  };
  const written = (ids) => {
    const stream = new TextStream(tokenizer);
    return [...ids.map((id) => stream.push(id)), stream.flush()].map(hex).join('|');
  };
  for (const item of JSON.parse(given)) console.log(typeof item === 'string' ? encoded(item) : written(item));
}
"""
