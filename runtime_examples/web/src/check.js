// "Check this device": the golden run, the sampler's vectors, the tokenizer's text.

import { checkGolden } from './golden.js';
import { Tokenizer } from './tokenizer.js';
import { checkSampler } from './vectors.js';

/**
 * Make every check that the bundle has what is needed for; returns [{ name, worst, tolerance, ok, parts }]; worst is null
 * where it was not run.
 */
export async function check(model) {
  const rows = [...(await checkGolden(model)), ...(await checkSampler(model.bundle))];
  if (!model.bundle.manifest.tokenizer) return rows;
  await Tokenizer.load(model.bundle); // throws where it is another one
  return [...rows, { name: 'tokenizer', worst: 0, tolerance: 0, ok: true }];
}

/** Say whether a row is right; of one that is not, at which step it was off first, and how far. */
export function verdictOf({ worst, ok, note, parts }) {
  if (worst === null) return `not run; ${note}`;
  if (ok) return 'ok';
  return parts ? `FAILED: parts at step ${parts.step} of 0 to ${parts.last} by ${parts.by.toExponential(1)}` : 'FAILED';
}
