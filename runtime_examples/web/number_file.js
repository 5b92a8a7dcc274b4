// Frames from a text file: a frame a line, its numbers apart by commas, semicolons, tabs or spaces; a first line of names is passed.

const MOST_BYTES = 16e6;
const MOST_FRAMES = 20_000;

/** Read a file's frames: [Float32Array [width]]. */
export async function framesOfFile(file, width) {
  if (file.size > MOST_BYTES)
    throw new Error(`${file.name} has ${file.size} bytes, expected at most ${MOST_BYTES}; give a shorter recording`);
  const lines = (await file.text()).split(/\r?\n/).filter((line) => line.trim());
  const rows = lines.map((line) => line.trim().split(/[\s,;]+/));
  if (rows.length && rows[0].every((cell) => Number.isNaN(Number(cell)))) rows.shift();
  if (!rows.length || rows.length > MOST_FRAMES)
    throw new Error(`${file.name} has ${rows.length} lines of numbers, expected 1 to ${MOST_FRAMES}; give another file`);
  return rows.map((cells, at) => frameOf(cells, { file, at, width }));
}

function frameOf(cells, { file, at, width }) {
  const values = Float32Array.from(cells, Number);
  if (cells.length !== width || !values.every(Number.isFinite))
    throw new Error(
      `frame ${at + 1} of ${file.name} is “${cells.join(' ').slice(0, 40)}”, expected ${width} numbers; give a frame a line`,
    );
  return values;
}
