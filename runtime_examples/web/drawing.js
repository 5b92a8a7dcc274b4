// A canvas to draw on: with a pointer, or from the keyboard: the arrow keys move the pen, Space puts it down and lifts it.

const PEN = 0.08; // of the side
const MOVE = 0.03;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Make a canvas one to draw on, white on black; `onStroke` hears of each stroke's end. Returns { clear, pixels, isEmpty }. */
export function startDrawing(canvas, onStroke) {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  let [last, down, empty] = [[canvas.width / 2, canvas.height / 2], false, true];
  const clear = () => {
    context.fillStyle = '#000';
    context.fillRect(0, 0, canvas.width, canvas.height);
    [last, down, empty] = [[canvas.width / 2, canvas.height / 2], false, true];
  };
  const draw = (to) => {
    Object.assign(context, { strokeStyle: '#fff', lineWidth: PEN * canvas.width, lineCap: 'round', lineJoin: 'round' });
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...to);
    context.stroke();
    empty = false;
  };
  const placeOf = ({ offsetX, offsetY }) => [
    (offsetX / canvas.clientWidth) * canvas.width,
    (offsetY / canvas.clientHeight) * canvas.height,
  ];
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    [last, down] = [placeOf(event), true];
    draw(last);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!down || !event.buttons) return;
    const to = placeOf(event);
    draw(to);
    last = to;
  });
  canvas.addEventListener('pointerup', () => {
    down = false;
    onStroke();
  });
  canvas.addEventListener('keydown', (event) => {
    if (event.key === ' ') {
      down = !down;
      if (down) draw(last);
      else onStroke();
    } else if (KEYS[event.key]) {
      const limit = (value, side) => Math.min(side, Math.max(0, value));
      const [x, y] = KEYS[event.key];
      const to = [
        limit(last[0] + x * MOVE * canvas.width, canvas.width),
        limit(last[1] + y * MOVE * canvas.height, canvas.height),
      ];
      if (down) draw(to);
      last = to;
    } else return;
    event.preventDefault();
  });
  clear();
  return { clear, isEmpty: () => empty, pixels: () => context.getImageData(0, 0, canvas.width, canvas.height) };
}
