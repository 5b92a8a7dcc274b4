// A picture as an image encoder reads it: the whole of it as a square, bilinear with antialiasing as the training did it.

const AXES = 'batch,height,width,channels';
const RGBA = 4;
const RGB = 3;

/** The input of encode that is a picture, or null where the model takes none. */
export function pictureOf({ bundle, contract: { sizes } }) {
  const [input, ...others] = bundle.encode?.inputs ?? [];
  const sized = sizes.channels === RGB && sizes.height > 0 && sizes.width > 0;
  return input?.dtype === 'uint8' && String(input.axes) === AXES && !others.length && sized ? input : null;
}

/**
 * Resize pixels to what a graph's image input takes.
 *
 * @param pixels { data: RGBA bytes, width, height } (an ImageData), no transparency
 * @param spec the input of the contract, axes [batch, height, width, channels]
 * @param sizes of the contract
 * @returns a tensor uint8 [1, height, width, 3]
 */
export function imageTensor({ data, width, height }, spec, sizes) {
  const { height: rows, width: columns } = sizes;
  const rgb = new Uint8Array(width * height * RGB);
  for (let pixel = 0; pixel < width * height; pixel++) rgb.set(data.subarray(pixel * RGBA, pixel * RGBA + RGB), pixel * RGB);
  const narrow = resize(rgb, { lines: height, from: width, to: columns, lineStride: (size) => size * RGB, step: RGB });
  const square = resize(narrow, { lines: columns, from: height, to: rows, lineStride: () => RGB, step: columns * RGB });
  return { dtype: spec.dtype, dims: [1, rows, columns, RGB], data: square };
}

/** Resize along one axis: `lines` of `from` pixels to `to` pixels; where a line starts and the next pixel lies are given. */
function resize(source, { lines, from, to, lineStride, step }) {
  const target = new Uint8Array((source.length / from) * to);
  for (let at = 0; at < to; at++) {
    const { first, weights } = triangle(at, from, to);
    for (let line = 0; line < lines; line++) {
      for (let channel = 0; channel < RGB; channel++) {
        let sum = 0;
        const start = line * lineStride(from) + channel;
        for (let tap = 0; tap < weights.length; tap++) sum += weights[tap] * source[start + (first + tap) * step];
        target[line * lineStride(to) + channel + at * step] = Math.round(sum);
      }
    }
  }
  return target;
}

/** The triangle filter of output pixel `at`: as wide as the pixel is in the source, at least one source pixel. */
function triangle(at, from, to) {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  const centre = (at + 0.5) * scale;
  const first = Math.max(0, Math.floor(centre - reach + 0.5));
  const last = Math.min(from, Math.floor(centre + reach + 0.5));
  const raw = Array.from({ length: last - first }, (_, tap) => Math.max(0, 1 - Math.abs((first + tap - centre + 0.5) / reach)));
  const total = raw.reduce((a, b) => a + b, 0);
  return { first, weights: raw.map((weight) => weight / total) };
}
