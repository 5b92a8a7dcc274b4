// A visit as a slow phone makes it: node phone.mjs BUNDLE [ARTIFACT …]. Chromium at 360 × 740, its processor slowed down, its network
// that of "slow 4G" (1.6 Mbit/s down, 0.75 up, 150 ms). Prints a line of JSON per artifact: ms from the first request until the model
// is ready and until the first token, on the first visit and on a later one; ms of a first token once the model is there; and µs of a step.

import { basename, resolve } from 'node:path';

import { browse, launch, status } from './play.mjs';
import { serve } from './serve.mjs';

const SLOWER = Number(process.env.SLOWER ?? 4);
const SLOW_4G = { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8 };
const SCREEN = { width: 360, height: 740 };

/** Slow a page, its workers among it, down; Chromium slows each target by itself. */
async function slowDown(context, page) {
  const session = await context.newCDPSession(page);
  const slow = async (send) => {
    await send('Network.enable').catch(() => {});
    await send('Network.emulateNetworkConditions', SLOW_4G).catch(() => {});
  };
  await session.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
  await slow((method, args) => session.send(method, args));
  return session;
}
