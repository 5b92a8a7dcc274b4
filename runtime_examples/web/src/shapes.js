// What a value of JSON may be. A shape is a function of a value and of where it stands; it throws BundleError where the value is
// not so.

import { BundleError } from './errors.js';

const SHOWN = 60;

/** Whether a path of the manifest stays in the bundle, on every system. */
function isInside(path) {
  return !/[\\:\p{C}]/u.test(path) && path.split('/').every((part) => !['', '.', '..'].includes(part));
}

/** The beginning of a value. */
export function shown(value) {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)}…`;
}

/** Throw where something does not hold of the value at a path. */
export function expect(holds, path, value, wanted) {
  if (!holds) throw new BundleError(`${path.replace(/^\./, '') || 'it'} is ${shown(value)}, expected ${wanted}`);
}

export const text =
  (pattern = /^/, wanted = 'text') =>
  (value, path) =>
    expect(typeof value === 'string' && pattern.test(value), path, value, wanted);

export const whole =
  (least = 0, most = Number.MAX_SAFE_INTEGER) =>
  (value, path) =>
    expect(Number.isInteger(value) && value >= least && value <= most, path, value, `a whole number from ${least} to ${most}`);

export const number =
  (least, most = Number.MAX_VALUE) =>
  (value, path) =>
    expect(typeof value === 'number' && value >= least && value <= most, path, value, `a number from ${least} to ${most}`);

export const oneOf =
  (...values) =>
  (value, path) =>
    expect(values.includes(value), path, value, `one of ${values.join(', ')}`);

export const list = (item) => (value, path) => {
  expect(Array.isArray(value), path, value, 'a list');
  value.forEach((each, index) => item(each, `${path}[${index}]`));
};

export const table = (key, item) => (value, path) => {
  expectObject(value, path);
  for (const [name, each] of Object.entries(value)) {
    key(name, `a key of ${path.replace(/^\./, '')}`);
    item(each, `${path}.${name}`);
  }
};

/** An object; what is optional comes as [shape, default], which is filled in where it is absent. */
export const object =
  (required, optional = {}) =>
  (value, path) => {
    expectObject(value, path);
    for (const [name, item] of Object.entries(required)) {
      expect(Object.hasOwn(value, name), `${path}.${name}`, undefined, 'a value');
      item(value[name], `${path}.${name}`);
    }
    for (const [name, [item, fallback]] of Object.entries(optional)) {
      if (Object.hasOwn(value, name) && value[name] !== null) item(value[name], `${path}.${name}`);
      else value[name] = structuredClone(fallback);
    }
  };

function expectObject(value, path) {
  expect(typeof value === 'object' && value !== null && !Array.isArray(value), path, value, 'an object');
}

export const inner = (value, path) => expect(typeof value === 'string' && isInside(value), path, value, 'a path inside the bundle');
