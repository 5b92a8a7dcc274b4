// What the contract of a manifest means: which tensor is which, and what must hold between them. Nothing is found by the
// name of a tensor: *ids* are step's fresh input of integers that are `below` the size of an axis, *scores* the output
// whose last axis is that one, *attention* another output over an axis that a context has and encode chooses, or over
// regions.

import { expect } from './shapes.js';

export const BATCH = 'batch';
export const TIME = 'time';
export const LAYERS = 'layers';
export const DTYPES = ['bool', 'int8', 'int16', 'int32', 'int64', 'uint8', 'float16', 'float32', 'float64'];
const REGIONS = 'regions';
const STEP = 'step';
const ENCODE = 'encode';
const MOST_ELEMENTS = 2 ** 28; // of one tensor

/** The size of an axis, or a fallback where it has none. */
export function sizeOf(sizes, axis, fallback) {
  return Object.hasOwn(sizes, axis) ? sizes[axis] : fallback;
}

/** The graph of that name, or undefined. */
export function graphOf({ graphs }, name) {
  return graphs.find((graph) => graph.name === name);
}

/** The tensors of a role: input, context, state or output. */
export function ofRole(tensors, role) {
  return tensors.filter((tensor) => tensor.role === role);
}

/** The input that takes token ids, or null. */
export function idsOf(contract) {
  const fresh = ofRole(graphOf(contract, STEP).inputs, 'input');
  return fresh.find(({ below, dtype }) => below && dtype.includes('int')) ?? null;
}

/** The output that rates every id, or null. */
export function scoresOf(contract) {
  const [ids, outputs] = [idsOf(contract), ofRole(graphOf(contract, STEP).outputs, 'output')];
  return (ids && outputs.find(({ axes }) => axes.at(-1) === ids.below)) ?? null;
}

/** The output that says where in its contexts a model looked, or null. */
export function attentionOf(contract) {
  const { inputs, outputs } = graphOf(contract, STEP);
  const scores = scoresOf(contract);
  const open = (axis) => axis === REGIONS || !(Object.hasOwn(contract.sizes, axis) || [BATCH, TIME].includes(axis));
  const looked = new Set(
    ofRole(inputs, 'context')
      .flatMap(({ axes }) => axes)
      .filter(open),
  );
  const others = ofRole(outputs, 'output').filter((tensor) => tensor !== scores);
  return others.find(({ axes }) => axes.some((axis) => looked.has(axis))) ?? null;
}

/** Throw BundleError where a graph lacks what another, or the next step, takes from it. */
export function checkContract(contract) {
  const names = new Set(contract.graphs.map(({ name }) => name));
  expect(names.has(STEP) && names.size === contract.graphs.length, 'contract.graphs', [...names], 'step, once');
  for (const { name, inputs, outputs } of contract.graphs) {
    for (const [side, tensors] of Object.entries({ inputs, outputs })) {
      const found = tensors.map((tensor) => tensor.name);
      expect(found.length && new Set(found).size === found.length, `contract.${name}.${side}`, found, 'names, each once');
    }
    for (const { name: tensor, below } of inputs)
      expect(below === null || Object.hasOwn(contract.sizes, below), `below of ${tensor}`, below, 'an axis that has a size');
  }
  checkSizes(contract);
  checkStates(contract);
  checkContexts(contract);
}

/** Every axis has a size, but `batch`, `time` and those that encode chooses. */
function checkSizes(contract) {
  const { sizes, graphs } = contract;
  const chosen = [...(graphOf(contract, ENCODE)?.inputs ?? []), ...ofRole(graphOf(contract, STEP).inputs, 'context')];
  const known = new Set([BATCH, TIME, ...Object.keys(sizes), ...chosen.flatMap(({ axes }) => axes)]);
  for (const { name, axes } of graphs.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])) {
    const lacking = axes.filter((axis) => !known.has(axis));
    expect(!lacking.length, `contract.sizes, for ${name},`, lacking, 'a size of every axis');
    for (const once of [BATCH, TIME])
      expect(axes.filter((axis) => axis === once).length < 2, `the axes of ${name}`, axes, `${once} once at most`);
    const elements = axes.reduce((count, axis) => count * sizeOf(sizes, axis, 1), 1);
    expect(elements <= MOST_ELEMENTS, `the size of ${name}`, elements, `at most ${MOST_ELEMENTS} elements`);
  }
}

/** Every state comes back as it went in, and has a first value. */
function checkStates(contract) {
  const { inputs, outputs } = graphOf(contract, STEP);
  const [states, after] = [ofRole(inputs, 'state'), ofRole(outputs, 'state')];
  for (const state of states) {
    expect(!state.axes.includes(TIME), `the axes of ${state.name}`, state.axes, 'none of time');
    const next = `${state.name}_next`;
    checkSame(
      after.find(({ name }) => name === next),
      state,
      `contract.step.outputs.${next}`,
    );
  }
  const given = after.map(({ name }) => name);
  expect(after.length === states.length, 'the states that step gives', given, 'those that it takes');
  const unknown = Object.keys(contract.initial_state).filter((name) => !states.some((state) => state.name === name));
  expect(!unknown.length, 'contract.initial_state', unknown, 'names of states');
}

/** encode gives every context, and the first states that are its. */
function checkContexts(contract) {
  const made = graphOf(contract, ENCODE)?.outputs ?? [];
  for (const tensor of graphOf(contract, STEP).inputs) {
    const { name, role } = tensor;
    if (role === 'context' || (role === 'state' && sizeOf(contract.initial_state, name, null) === ENCODE))
      checkSame(
        made.find((each) => each.name === name),
        tensor,
        `contract.encode.outputs.${name}`,
      );
  }
}

function checkSame(found, { axes, dtype }, path) {
  const same = found !== undefined && String(found.axes) === String(axes) && found.dtype === dtype;
  expect(same, path, found, `${dtype} with the axes ${axes}`);
}
