// A static server for development and tests: node serve.mjs [--port N] [BUNDLE…]. Each bundle folder is served under
// bundles/, and bundles.json lists them. Any web server does as well: it needs no special headers, only the right MIME types.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, extname, join, normalize, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const PORT = 8080;
const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

/** Serve the page and `bundles` on 127.0.0.1; port 0 takes a free one. Returns { url, close }. */
export async function serve({ port = 0, bundles = [] } = {}) {
  const folders = new Map(bundles.map((folder) => [basename(resolve(folder)), resolve(folder)]));
  const server = createServer((request, response) => answer(request, response, folders));
  await new Promise((started, failed) => server.once('error', failed).listen(port, '127.0.0.1', started));
  const close = () =>
    new Promise((closed) => {
      server.close(closed);
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${server.address().port}/`, close };
}

async function answer(request, response, folders) {
  const name = pathOf(request.url);
  let body;
  try {
    if (name === null) throw new Error('outside the folder');
    body = name === 'bundles.json' && folders.size ? listing(folders) : await readFile(place(name, folders));
  } catch {
    response.writeHead(404, { 'Content-Type': 'text/plain' }).end('not found\n');
    return;
  }
  const tag = `"${createHash('sha256').update(body).digest('hex').slice(0, 32)}"`;
  const headers = {
    'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream',
    'Cache-Control': 'no-cache',
    ETag: tag,
  };
  if (request.headers['if-none-match'] === tag) response.writeHead(304, headers).end();
  else response.writeHead(200, headers).end(body);
}

/** Return the path asked for, inside the folder, or null. */
function pathOf(url) {
  try {
    const name = normalize(decodeURIComponent(new URL(url, 'http://localhost').pathname)).slice(1);
    return name.split(/[/\\]/).some((part) => part.startsWith('.')) ? null : name || 'index.html';
  } catch {
    return null; // %-signs that are no text
  }
}

function listing(folders) {
  return JSON.stringify(Array.from(folders.keys(), (name) => ({ name, path: `bundles/${encodeURIComponent(name)}/` })));
}

function place(name, folders) {
  const [, bundle, rest] = /^bundles\/([^/]+)\/(.+)$/.exec(name) ?? [];
  return folders.has(bundle) ? join(folders.get(bundle), rest) : join(HERE, name);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    options: { port: { type: 'string', default: String(PORT) } },
    allowPositionals: true,
  });
  const { url } = await serve({ port: Number(values.port), bundles: positionals });
  process.stdout.write(`${url}\n`);
}
