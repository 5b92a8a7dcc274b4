// A picture to try: one or two coloured shapes on a noisy ground, as in edgernn's built-in scenes.

const SIDE = 256;
const COLOURS = { red: '#d62828', green: '#2e9e44', blue: '#2a55d4', yellow: '#f2d024', orange: '#f2861d', purple: '#8a35b5' };
const GROUNDS = [150, 200];
const GRAIN = 4;

/** Draw a scene at random; returns an ImageData. */
export function drawScene(random = Math.random) {
  const context = new OffscreenCanvas(SIDE, SIDE).getContext('2d');
  const ground = GROUNDS[0] + random() * (GROUNDS[1] - GROUNDS[0]);
  for (let at = 0; at < SIDE * SIDE; at += GRAIN * GRAIN) {
    const light = ground + (random() - 0.5) * 40;
    context.fillStyle = `rgb(${light} ${light} ${light})`;
    const cell = at / (GRAIN * GRAIN);
    context.fillRect((cell % (SIDE / GRAIN)) * GRAIN, Math.floor(cell / (SIDE / GRAIN)) * GRAIN, GRAIN, GRAIN);
  }
  const colours = Object.values(COLOURS).sort(() => random() - 0.5);
  const shapes = [circle, square, triangle].sort(() => random() - 0.5);
  const places =
    random() < 0.5
      ? [
          [0.3, 0.5],
          [0.7, 0.5],
        ]
      : [
          [0.5, 0.28],
          [0.5, 0.72],
        ];
  places.forEach(([x, y], index) => {
    context.fillStyle = colours[index];
    const reach = random() < 0.5 ? 26 : 44;
    context.beginPath();
    shapes[index](context, x * SIDE, y * SIDE, reach);
    context.fill();
  });
  return context.getImageData(0, 0, SIDE, SIDE);
}

function circle(context, x, y, reach) {
  context.arc(x, y, reach, 0, 2 * Math.PI);
}

function square(context, x, y, reach) {
  context.rect(x - reach, y - reach, 2 * reach, 2 * reach);
}

function triangle(context, x, y, reach) {
  context.moveTo(x, y - reach);
  context.lineTo(x + reach, y + reach);
  context.lineTo(x - reach, y + reach);
}
