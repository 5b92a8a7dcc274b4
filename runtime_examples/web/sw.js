// Offline: the page, and the runtime and every bundle file that was loaded once, come from the cache when there is no network.
// The network goes first, so that a new bundle or page is never mixed with an old one.

const CACHE = 'edgernn';
const SHELL = [
  './',
  'address.js',
  'app.js',
  'ask_panel.js',
  'bundle_panel.js',
  'caption_panel.js',
  'check_panel.js',
  'compare_panel.js',
  'compare_run.js',
  'divergence_plot.js',
  'drawing.js',
  'dropped.js',
  'engine.js',
  'frames_panel.js',
  'icon.svg',
  'look_panel.js',
  'media.js',
  'microphone_worklet.js',
  'module_panel.js',
  'number_file.js',
  'page.js',
  'paint_panel.js',
  'picture_view.js',
  'read_panel.js',
  'readers.js',
  'scene.js',
  'shares_view.js',
  'speed_panel.js',
  'state_map.js',
  'state_strip.js',
  'style.css',
  'text_panel.js',
  'trace_panel.js',
  'translate_panel.js',
  'worker.js',
  'bundles.json',
  ...[
    'asking',
    'bundle',
    'caption',
    'check',
    'comparing',
    'compiled',
    'contract',
    'errors',
    'frames',
    'generation',
    'golden',
    'history',
    'manifest',
    'model',
    'onnx_guard',
    'ort_session',
    'painting',
    'picture',
    'reading',
    'safetensors',
    'sampler',
    'shapes',
    'shares',
    'snapshot',
    'timing',
    'tokenizer',
    'translating',
    'vectors',
    'versions',
    'zip',
  ].map((name) => `src/${name}.js`),
];

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(SHELL))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const own = new URL(event.request.url).origin === self.location.origin;
  if (own && event.request.method === 'GET') event.respondWith(fromNetwork(event.request));
});

async function fromNetwork(request) {
  const cache = await caches.open(CACHE);
  let response;
  try {
    response = await fetch(request);
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
  if (response.ok) await cache.put(request, response.clone()).catch(() => {}); // there may be no room
  return response;
}
