// A bundle's address, as it is typed or stands in ?bundle= of this page's own address.

const PACKED = /\.(edgernn|zip)$/i;

/** Return { source: { url }, place } of an address: of a folder, of its manifest.json, or of a .edgernn file; https, or this site. */
export function bundleAt(text) {
  if (!text.trim()) throw new Error('there is no address; type one as https://example.org/plays.edgernn');
  let [url, path] = [null, null];
  try {
    url = new URL(text.trim(), location.href);
    path = decodeURIComponent(url.pathname);
  } catch {
    throw new Error(`“${text}” is no address; expected one as https://example.org/plays/ or https://example.org/plays.edgernn`);
  }
  if (url.protocol !== 'https:' && url.origin !== location.origin)
    throw new Error(`the address is ${url.protocol}//${url.host}, expected https or this site; open the bundle from there`);
  if (url.username || url.password) throw new Error('the address holds a password, expected none; open the bundle without one');
  url.hash = '';
  url.pathname = url.pathname.replace(/\/manifest\.json$/, '/');
  if (!PACKED.test(url.pathname) && !url.pathname.endsWith('/')) url.pathname += '/';
  const name = path.replace(/\/manifest\.json$/, '').split('/').filter(Boolean).at(-1);
  return { source: { url: url.href }, place: name ?? url.host };
}

/** The bundle that this page's address names, or null. */
export function bundleOfPage() {
  const text = new URL(location.href).searchParams.get('bundle');
  return text ? bundleAt(text) : null;
}
