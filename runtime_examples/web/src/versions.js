// Which version of onnxruntime a model file needs.

const RUNTIME = 'onnxruntime'; // as an artifact's `requires` calls it; its packages for Node.js and the web share its versions

/** Return the version that an artifact needs where `runtime` is older, else null; a runtime that is not there yet is null. */
export function needed(artifact, runtime) {
  if (runtime === null) return null;
  const wanted = Object.hasOwn(artifact.requires, RUNTIME) ? artifact.requires[RUNTIME] : '0';
  return compare(runtime, wanted) < 0 ? wanted : null;
}

/** Compare the numbers of two versions; what follows them, such as -rc.1, does not count. Below 0: `a` is older. */
function compare(a, b) {
  const [one, other] = [a, b].map((version) => /^[0-9]+(\.[0-9]+)*/.exec(version)?.[0].split('.').map(Number) ?? []);
  for (let at = 0; at < Math.max(one.length, other.length); at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference) return difference;
  }
  return 0;
}
