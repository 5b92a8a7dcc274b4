// How long a step takes: models in turns, so that a change of the machine's speed hits all alike. Browsers tell time in parts of a
// millisecond, so a turn is many steps.

import { readGolden, row, stepsOf } from './golden.js';

const [ROUNDS, ROUND_MS, AT_ONCE] = [15, 10, 8]; // AT_ONCE steps between two looks at the clock

/** Return { least, median } of a step in µs for each of `models`, over the recorded run's inputs, each step on the last state. */
export async function timeSteps(models, { rounds = ROUNDS, ms = ROUND_MS } = {}) {
  const turns = await Promise.all(models.map(stepping));
  const times = turns.map(() => []);
  for (let round = 0; round <= rounds; round++)
    for (const [at, turn] of turns.entries()) {
      const [from, steps] = [performance.now(), await turn(ms)];
      if (round) times[at].push(((performance.now() - from) * 1000) / steps); // the first round warms up
    }
  return times.map((each) => {
    const sorted = each.sort((a, b) => a - b);
    return { least: sorted[0], median: sorted[sorted.length >> 1] };
  });
}

/** Return what steps a model for some milliseconds, and tells how often. */
async function stepping(model) {
  const golden = await readGolden(model);
  const pick = (specs, of) => Object.fromEntries(specs.map(({ name }) => [name, of(golden[name])]));
  const contexts = pick(model.contexts, (tensor) => tensor);
  const fed = Array.from({ length: stepsOf(model, golden) }, (_, at) => ({
    ...pick(model.inputs, (tensor) => row(tensor, at)),
    ...contexts,
  }));
  let [state, at] = [pick(model.states, (tensor) => tensor), 0];
  return async (ms) => {
    const from = performance.now();
    let steps = 0;
    do {
      for (let once = 0; once < AT_ONCE; once++) ({ state } = await model.step(fed[at++ % fed.length], state));
      steps += AT_ONCE;
    } while (performance.now() - from < ms);
    return steps;
  };
}
