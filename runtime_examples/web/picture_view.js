// A picture on the page: decoded from a file, drawn, darkened where a model did not look, and that place in words.

const MOST_PIXELS = 4096; // a side; larger pictures are made smaller by the browser first
const DARKEST = 0.8; // how much of the light is taken where the model did not look

/** Decode a picture file, upright and on white; returns an ImageData. */
export async function pixelsOf(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' });
  } catch {
    throw new Error(
      `${file.name} is no picture that this browser reads (${file.type || 'unknown type'}, ${file.size} bytes); ` +
        `expected JPEG, PNG, WebP or the like; choose another`,
    );
  }
  const scale = Math.min(1, MOST_PIXELS / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = new OffscreenCanvas(width, height).getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** Draw a picture, darkened where `attention` (regions row by row, or null) is weak; the strongest region is in full light. */
export function drawPicture(canvas, pixels, attention) {
  const context = canvas.getContext('2d');
  const [width, height] = pixels ? [pixels.width, pixels.height] : [1, 1];
  canvas.height = Math.round((canvas.width * height) / width);
  canvas.parentElement.classList.toggle('full', Boolean(pixels));
  if (!pixels) return;
  context.imageSmoothingEnabled = Math.max(width, height) > canvas.width; // small pictures show their pixels
  context.drawImage(canvasOf(pixels), 0, 0, canvas.width, canvas.height);
  if (!attention) return;
  context.imageSmoothingEnabled = true;
  context.drawImage(canvasOf(shade(attention)), 0, 0, canvas.width, canvas.height);
}

function shade(attention) {
  const side = Math.sqrt(attention.length);
  const strongest = Math.max(...attention) || 1; // nothing need have been looked at
  const image = new ImageData(side, side);
  attention.forEach((value, region) => {
    image.data[region * 4 + 3] = 255 * DARKEST * (1 - value / strongest);
  });
  return image;
}

function canvasOf(pixels) {
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return canvas;
}

/** Say in words where the strongest region lies. */
export function describe({ word, attention }) {
  const side = Math.sqrt(attention.length);
  const best = attention.indexOf(Math.max(...attention));
  const share = attention[best] / (attention.reduce((sum, value) => sum + value, 0) || 1);
  const third = (at) => Math.min(2, Math.floor(((at + 0.5) / side) * 3));
  const [row, column] = [Math.floor(best / side), best % side];
  const place = `${['top', 'middle', 'bottom'][third(row)]} ${['left', 'centre', 'right'][third(column)]}`;
  const where = `${place} (row ${row + 1}, column ${column + 1} of ${side})`;
  return `“${word}”: it looked most at the ${where}, with ${Math.round(share * 100)} % of its attention.`;
}
