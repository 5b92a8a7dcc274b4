// How far two models are apart, a bar a token: the divergence in nats, with where the texts part.

export const LEFT = 56; // where the bars begin, in pixels of the page
const [HEIGHT, TOP, BOTTOM] = [120, 8, 18];

/** Draw bars on a canvas as wide as it stands; `marked` is a token's place or null, `pointed` another. */
export function drawDivergences(canvas, values, { marked, pointed }) {
  const [width, ratio] = [canvas.clientWidth || 600, devicePixelRatio || 1];
  Object.assign(canvas, { width: width * ratio, height: HEIGHT * ratio });
  const [context, style] = [canvas.getContext('2d'), getComputedStyle(document.documentElement)];
  const colour = (name) => style.getPropertyValue(name);
  context.scale(ratio, ratio);
  const [most, inner] = [Math.max(...values) || 1, HEIGHT - TOP - BOTTOM];
  const each = (width - LEFT) / values.length;
  values.forEach((value, at) => {
    const high = (value / most) * inner;
    context.fillStyle = at === pointed ? colour('--ink') : `rgb(${colour('--high')})`;
    context.fillRect(LEFT + at * each, TOP + inner - high, Math.max(1, each - (each > 3 ? 1 : 0)), high);
  });
  context.strokeStyle = colour('--edge');
  context.strokeRect(LEFT - 0.5, TOP - 0.5, 0, inner + 1);
  context.strokeRect(LEFT - 0.5, TOP + inner + 0.5, width - LEFT, 0);
  if (marked !== null) line(context, LEFT + marked * each, { from: TOP, to: TOP + inner, colour: `rgb(${colour('--low')})` });
  Object.assign(context, { fillStyle: colour('--quiet'), font: '12px system-ui, sans-serif', textAlign: 'right' });
  context.fillText(short(most), LEFT - 6, TOP + 9);
  context.fillText('0', LEFT - 6, TOP + inner);
  context.fillText(`${values.length} tokens`, width - 2, HEIGHT - 3);
  Object.assign(context, { textAlign: 'left' });
  context.fillText('nats a token', LEFT, HEIGHT - 3);
}

/** A divergence in a few figures. */
export function short(value) {
  return value === 0 ? '0' : value < 0.001 ? value.toExponential(2) : value.toPrecision(3);
}

function line(context, x, { from, to, colour }) {
  Object.assign(context, { strokeStyle: colour, lineWidth: 2 });
  context.setLineDash([4, 3]);
  context.beginPath();
  context.moveTo(x, from);
  context.lineTo(x, to);
  context.stroke();
  context.setLineDash([]);
}
