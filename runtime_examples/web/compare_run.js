// Two workers over the same text: what each writes greedily, and how far apart they are after every token of one text.

import { divergence, likeliest } from './src/comparing.js';

const GREEDY = { temperature: 0, topK: 0, topP: 1 };

/** Write greedily after a prompt; returns { tokens, pieces, text }: ids, what each is alone, and what they are together. */
export async function writeGreedily(engine, prompt, length) {
  const [tokens, written] = [[], []];
  const options = { ...GREEDY, length };
  await engine.call('write', { prompt, after: null, seed: 0, options }, (event) => {
    tokens.push(...(event.tokens ?? []));
    written.push(event.piece ?? '');
  });
  return { tokens, pieces: await engine.call('spell', { ids: tokens }), text: written.join('') };
}

/**
 * Let two workers read the same ids, each on its own state.
 *
 * @param given { atOnce, goes }: ids of a call; a function that says whether to go on
 * @returns { values, same }: after each id the divergence of the second from the first in nats; after how many both rate one token
 *   highest
 */
export async function distances(engines, ids, { atOnce, goes }) {
  const values = [];
  let [states, same] = [engines.map(() => null), 0];
  for (let at = 0; at < ids.length && goes(); at += atOnce) {
    const part = ids.slice(at, at + atOnce);
    const made = await Promise.all(engines.map((engine, place) => engine.call('follow', { ids: part, state: states[place] })));
    states = made.map(({ state }) => state);
    const width = made[0].scores.length / part.length;
    part.forEach((_, place) => {
      const [one, other] = made.map(({ scores }) => scores.subarray(place * width, (place + 1) * width));
      values.push(divergence(one, other));
      same += likeliest(one) === likeliest(other) ? 1 : 0;
    });
  }
  return { values, same };
}
