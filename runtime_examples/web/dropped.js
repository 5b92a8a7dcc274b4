// What is dropped on the page: a bundle's folder, or a .edgernn file.

const MOST_FILES = 1000;

/** Let a bundle be dropped on an element; `action` gets { source, place }, and `fail` what goes wrong. */
export function onBundleDrop(target, action, fail) {
  target.addEventListener('dragover', (event) => {
    if (![...event.dataTransfer.types].includes('Files')) return;
    event.preventDefault();
    target.classList.add('over');
  });
  target.addEventListener('dragleave', () => target.classList.remove('over'));
  target.addEventListener('drop', (event) => {
    event.preventDefault();
    target.classList.remove('over');
    const [item] = event.dataTransfer.items;
    const entry = item?.webkitGetAsEntry?.() ?? null; // gone once this function returns
    chosen(entry, event.dataTransfer.files).then(action).catch(fail);
  });
}

/** Let nothing happen where a file is dropped beside its place: the browser would leave the page for it. */
export function ignoreOtherDrops() {
  for (const kind of ['dragover', 'drop'])
    document.addEventListener(kind, (event) => {
      if (event.defaultPrevented || ![...event.dataTransfer.types].includes('Files')) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = 'none';
    });
}

async function chosen(entry, files) {
  const [file] = files;
  if (files.length > 1) throw new Error(`${files.length} files were dropped, expected one: a bundle's folder or its .edgernn file`);
  if (entry?.isDirectory) return { source: { files: await filesIn(entry) }, place: entry.name };
  if (!file) throw new Error('what was dropped is no file, expected a bundle: its folder or a .edgernn file');
  return { source: { zip: file }, place: file.name };
}

/** The files below a folder by their path inside it. */
async function filesIn(folder) {
  const found = new Map();
  const walk = async (directory, before) => {
    const reader = directory.createReader();
    for (;;) {
      const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // some at a time
      if (!entries.length) return;
      for (const entry of entries) {
        const path = `${before}${entry.name}`;
        if (entry.isDirectory) await walk(entry, `${path}/`);
        else found.set(path, await new Promise((resolve, reject) => entry.file(resolve, reject)));
        if (found.size > MOST_FILES)
          throw new Error(`the folder holds over ${MOST_FILES} files, expected a bundle; drop the folder with manifest.json`);
      }
    }
  };
  await walk(folder, '');
  return found;
}
