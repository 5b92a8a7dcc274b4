// The hidden state as a strip of cells, a row per layer and state: what the model remembers of all it has read and written.

const STRONGEST = 1; // a hidden state lies between -1 and 1; cell states beyond it look the same

/** The page's colours of values above and below 0: [red, green, blue] each. */
export function coloursOf() {
  const style = getComputedStyle(document.documentElement);
  return ['--high', '--low'].map((name) => style.getPropertyValue(name).split(',').map(Number));
}

/** Draw a state { NAME: tensor } on a canvas, a row for each run of its last axis, in the page's colours. */
export function drawState(canvas, state) {
  const colours = coloursOf();
  const rows = Object.values(state).flatMap(({ dims, data }) => {
    const width = dims.at(-1) ?? 1;
    const part = (_, at) => Float64Array.from(data.subarray(at * width, (at + 1) * width), Number);
    return Array.from({ length: data.length / width }, part);
  });
  const width = Math.max(...rows.map((row) => row.length));
  if (canvas.width !== width || canvas.height !== rows.length) Object.assign(canvas, { width, height: rows.length });
  const image = new ImageData(width, rows.length);
  rows.forEach((row, y) =>
    row.forEach((value, x) => {
      const strength = Math.min(Math.abs(value), STRONGEST) / STRONGEST;
      image.data.set([...colours[value < 0 ? 1 : 0], strength * 255], (y * width + x) * 4);
    }),
  );
  canvas.getContext('2d').putImageData(image, 0, 0);
}
