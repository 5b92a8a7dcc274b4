// tokenizer.json of the kinds char and caption: text to ids and back. For other kinds use the Hugging Face tokenizers
// library; its file is the same.

import { BadInput } from './errors.js';

const SHOWN = 10;

export class Tokenizer {
  /** Read the bundle's tokenizer, and make sure that it gives the ids that the manifest promises. */
  static async load(bundle) {
    const { path, kind, text, ids, vocabulary_size: size } = bundle.manifest.tokenizer;
    if (kind !== 'char' && kind !== 'caption') {
      throw new BadInput(
        `the tokenizer is of kind ${kind}, expected char or caption; ` +
          `for others use a Hugging Face tokenizers library with ${path}`,
      );
    }
    const tokenizer = new Tokenizer(JSON.parse(new TextDecoder().decode(await bundle.file(path))), kind);
    const seen = tokenizer.encode(text, { unknown: 'skip' });
    if (String(seen) !== String(ids) || tokenizer.words.length !== size) {
      throw new BadInput(
        `${path} gives the ids ${seen.slice(0, SHOWN)}… for the text in manifest.json, expected ${ids.slice(0, SHOWN)}…; ` +
          `export the bundle again`,
      );
    }
    return tokenizer;
  }

  constructor(document, kind) {
    this.kind = kind;
    this.ids = new Map(Object.entries(document.model.vocab));
    this.words = [];
    for (const [word, id] of this.ids) this.words[id] = word;
    this.pattern = kind === 'caption' ? new RegExp(document.pre_tokenizer.pattern.Regex, 'gu') : /./gsu;
  }

  /** Return the ids of a text; what the vocabulary lacks is refused, or left out with unknown = 'skip'. */
  encode(text, { unknown = 'error' } = {}) {
    const plain = this.kind === 'caption' ? text.normalize('NFKC').toLowerCase() : text;
    const pieces = plain.match(this.pattern) ?? [];
    const lacking = [...new Set(pieces.filter((piece) => !this.ids.has(piece)))];
    if (lacking.length && unknown === 'error') {
      const shown = lacking
        .slice(0, SHOWN)
        .map((piece) => JSON.stringify(piece))
        .join(' ');
      throw new BadInput(
        `the prompt has ${shown}, which this model never saw; ` +
          `expected only what its ${this.words.length} tokens hold; leave it out`,
      );
    }
    return pieces.filter((piece) => this.ids.has(piece)).map((piece) => this.ids.get(piece));
  }

  /** Return the text of ids. */
  decode(ids) {
    return Array.from(ids, (id) => this.words[id]).join(this.kind === 'caption' ? ' ' : '');
  }
}
