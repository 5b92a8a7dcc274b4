// What the panels share: elements by id, the status line, the error, and downloads.

export const element = (id) => document.getElementById(id);

let standing = ''; // what the status line says where nothing failed

/** Say how things stand; screen readers hear it, so it is for beginnings and ends, not for every token. */
export function tell(text) {
  standing = text;
  element('status').textContent = text;
}

/** Show an error until the next action, or hide it with null. */
export function showError(error) {
  const box = element('error');
  box.hidden = !error;
  if (!error) return;
  box.textContent = error.message ?? String(error);
  box.scrollIntoView({ block: 'nearest' });
}

/** Run an action, showing until the next one what goes wrong, and what an error says is `left`. */
export async function attempt(action) {
  showError(null);
  const before = standing;
  element('status').textContent = before;
  try {
    return await action();
  } catch (error) {
    showError(error);
    standing = error.left ?? before;
    element('status').textContent = error.left ? `That did not work; ${error.left}` : 'That did not work.';
    return undefined;
  }
}

/** Give the file of a file input to an action, and let the same file be chosen again. */
export function onFile(id, action) {
  const input = element(id);
  input.addEventListener('change', () => {
    const files = Array.from(input.files);
    input.value = '';
    if (files.length) attempt(() => action(files));
  });
}

/** Give a file that is dropped on a stage to an action. */
export function onDrop(stage, action) {
  stage.addEventListener('dragover', (event) => {
    event.preventDefault();
    stage.classList.add('over');
  });
  stage.addEventListener('dragleave', () => stage.classList.remove('over'));
  stage.addEventListener('drop', (event) => {
    event.preventDefault();
    stage.classList.remove('over');
    const { files } = event.dataTransfer;
    attempt(() => {
      if (files.length !== 1) throw new Error(`${files.length || 'no'} files were dropped, expected one picture`);
      return action(files[0]);
    });
  });
}

/** Offer bytes as a download. */
export function download(bytes, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
}
