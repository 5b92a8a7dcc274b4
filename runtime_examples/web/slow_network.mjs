// A proxy as slow as a phone's network: for every byte of every connection together, and with a delay for each answer. It packs
// what it sends, as static hosts do. (Chromium's own emulation would leave out the workers.)

import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';

const PART = 4096; // bytes sent at once

/**
 * Stand before a server at `url`; `bits` a second, `delay` in ms. Returns { url, sent, close }: sent() gives the bytes since it was
 * asked last.
 */
export async function slowly(url, { bits, delay }) {
  let [free, sent] = [0, 0]; // when the line is free again, in ms
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const send = async (response, body) => {
    for (let at = 0; at < body.length; at += PART) {
      const part = body.subarray(at, at + PART);
      free = Math.max(free, performance.now()) + (part.length * 8 * 1000) / bits;
      await wait(free - performance.now());
      response.write(part);
      sent += part.length;
    }
    response.end();
  };
  const server = createServer(async (request, response) => {
    await wait(delay);
    const given = request.headers['if-none-match'];
    const answer = await fetch(new URL(request.url, url), { headers: given ? { 'if-none-match': given } : {} });
    const headers = Object.fromEntries(
      ['content-type', 'etag', 'cache-control'].map((name) => [name, answer.headers.get(name) ?? '']),
    );
    const body = Buffer.from(await answer.arrayBuffer());
    response.writeHead(answer.status, body.length ? { ...headers, 'content-encoding': 'gzip' } : headers);
    await send(response, body.length ? gzipSync(body) : body);
  });
  await new Promise((started) => server.listen(0, '127.0.0.1', started));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  const taken = () => {
    const count = sent;
    sent = 0;
    return count;
  };
  return { url: `http://127.0.0.1:${server.address().port}/`, sent: taken, close };
}
