// tokenizer.json of every kind of tokens that edgernn writes: text to ids and back, and text while ids still come.

import { BundleError } from './errors.js';

const SHOWN = 10;
const BYTE_KINDS = ['byte', 'bpe']; // their tokens are bytes, spelled as characters
const SPACED_KINDS = ['spaced', 'caption']; // words, with a space between two, but for line ends
const WORD_KINDS = ['word', ...SPACED_KINDS]; // one token a word, and perhaps one for all unknown words
export const KINDS = ['char', ...BYTE_KINDS, ...WORD_KINDS];

export class Tokenizer {
  /** Read the bundle's tokenizer, and make sure that it gives the ids that the manifest promises. */
  static async load(bundle) {
    const entry = bundle.manifest.tokenizer;
    if (!entry)
      throw new BundleError('this bundle has no tokenizer, so it reads and writes no text; check it, or run it step by step');
    const { path, kind, text, ids } = entry;
    const tokenizer = Tokenizer.parse(await bundle.file(path), entry);
    const seen = tokenizer.encode(text, { unknown: 'skip' }).filter((id) => id !== tokenizer.unknown);
    if (String(seen) !== String(ids)) {
      throw new BundleError(
        `${path} gives the ids ${seen.slice(0, SHOWN)}… for the text in manifest.json, expected ${ids.slice(0, SHOWN)}…; ` +
          `export the bundle again`,
      );
    }
    return tokenizer;
  }

  /** Read a file's bytes; `entry` is the manifest's: { path, kind, vocabulary_size }. */
  static parse(bytes, { path, kind, vocabulary_size: size }) {
    if (!KINDS.includes(kind)) {
      throw new BundleError(
        `the tokenizer is of kind ${kind}, expected one of ${KINDS.join(', ')}; for others use a tokenizers library`,
      );
    }
    let tokenizer;
    try {
      tokenizer = new Tokenizer(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)), kind);
    } catch (error) {
      throw new BundleError(`${path} is damaged (${error.message}), expected a tokenizer of ${kind}; export the bundle again`);
    }
    const { words } = tokenizer;
    if (words.length !== size || Object.keys(words).length !== size || tokenizer.ids.size !== size)
      throw new BundleError(
        `${path} has ${tokenizer.ids.size} tokens, expected the ids 0 to ${size - 1}; export the bundle again`,
      );
    return tokenizer;
  }

  constructor(document, kind) {
    this.kind = kind;
    this.ids = new Map(Object.entries(document.model.vocab));
    this.words = [];
    for (const [word, id] of this.ids) {
      if (!(Number.isInteger(id) && id >= 0 && id < this.ids.size)) throw new Error(`the token ${word} has the id ${id}`);
      this.words[id] = word;
    }
    this.unknown = WORD_KINDS.includes(kind) ? this.ids.get(document.model.unk_token) : undefined;
    const split = document.pre_tokenizer?.pretokenizers?.[0] ?? document.pre_tokenizer;
    if (kind === 'bpe' || WORD_KINDS.includes(kind)) this.pattern = unicodePattern(split.pattern.Regex);
    this.ranks = kind === 'bpe' ? new Map(document.model.merges.map((pair, rank) => [pair.join('\n'), rank])) : null;
    this.characters = BYTE_KINDS.includes(kind) ? byteCharacters() : null;
    this.bytes = this.characters && new Map(this.characters.map((character, byte) => [character, byte]));
  }

  /** Return the ids of a text; a character that the vocabulary lacks is refused, or left out with unknown = 'skip'. */
  encode(text, { unknown = 'error' } = {}) {
    if (this.kind === 'char') return this.known([...text], unknown);
    if (this.kind === 'byte') return this.spelled(text).map((character) => this.ids.get(character));
    const pieces = this.pieces(text);
    if (this.kind === 'bpe') return pieces.flatMap((piece) => this.known(this.merged(this.spelled(piece)), unknown));
    if (this.unknown === undefined) return this.known(pieces, unknown);
    return pieces.map((piece) => this.ids.get(piece) ?? this.unknown);
  }

  /** Return [{ id, text, known }] of a text, one of each token: what of the text it is, and whether the vocabulary has it. */
  read(text) {
    const ids = this.encode(text);
    const pieces = WORD_KINDS.includes(this.kind) ? this.pieces(text) : ids.map((id) => this.decode([id]));
    return ids.map((id, at) => ({ id, text: pieces[at], known: id !== this.unknown }));
  }

  /** Cut a text as it is before its parts have ids. */
  pieces(text) {
    if (this.kind === 'caption') text = [...text.normalize('NFKC')].map((character) => character.toLowerCase()).join('');
    return SPACED_KINDS.includes(this.kind) ? (text.match(this.pattern) ?? []) : isolated(text, this.pattern);
  }

  /** Return the text of ids; bytes that are no UTF-8 become U+FFFD. */
  decode(ids) {
    const stream = new TextStream(this);
    return stream.pushAll(ids) + stream.flush();
  }

  known(pieces, unknown) {
    const lacking = [...new Set(pieces.filter((piece) => !this.ids.has(piece)))];
    if (lacking.length && unknown === 'error') {
      const list = lacking
        .slice(0, SHOWN)
        .map((piece) => JSON.stringify(piece))
        .join(' ');
      throw new BundleError(
        `the prompt has ${list}, which this model never saw; ` +
          `expected only what its ${this.words.length} tokens hold; leave it out`,
      );
    }
    return pieces.filter((piece) => this.ids.has(piece)).map((piece) => this.ids.get(piece));
  }

  /** Return the bytes of a text, each as the character that stands for it. */
  spelled(text) {
    return Array.from(new TextEncoder().encode(text), (byte) => this.characters[byte]);
  }

  /** Join the pairs of a word's parts, the pair that was learned first before the others, until none is left. */
  merged(parts) {
    for (;;) {
      let [best, pair] = [Infinity, null];
      for (let at = 0; at + 1 < parts.length; at++) {
        const rank = this.ranks.get(`${parts[at]}\n${parts[at + 1]}`);
        if (rank < best) [best, pair] = [rank, [parts[at], parts[at + 1]]];
      }
      if (!pair) return parts;
      const joined = [];
      for (let at = 0; at < parts.length; at++) {
        const both = parts[at] === pair[0] && parts[at + 1] === pair[1];
        joined.push(both ? parts[at] + parts[++at] : parts[at]);
      }
      parts = joined;
    }
  }
}

/** Text while ids still come: each push gives what is complete by then, so no character is ever split. */
export class TextStream {
  constructor(tokenizer) {
    this.tokenizer = tokenizer;
    this.utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
    this.between = '';
  }

  /** A stream that goes on from ids whose text is shown already, as a snapshot's pending ones. */
  static after(tokenizer, ids) {
    const stream = new TextStream(tokenizer);
    stream.pushAll(ids);
    stream.flush(); // bytes that were cut off were shown, too
    return stream;
  }

  /** Take several ids; returns the text that they complete. */
  pushAll(ids) {
    return Array.from(ids, (id) => this.push(id)).join('');
  }

  /** Take the next id; returns the text that it completes, perhaps none. */
  push(id) {
    const { words, bytes, kind } = this.tokenizer;
    const characters = [...words[id]];
    if (bytes && characters.every((character) => bytes.has(character)))
      return this.utf8.decode(
        Uint8Array.from(characters, (character) => bytes.get(character)),
        { stream: true },
      );
    const apart = SPACED_KINDS.includes(kind) && words[id] !== '\n';
    const text = this.flush() + (apart ? this.between : '') + words[id];
    this.between = apart ? ' ' : '';
    return text;
  }

  /** End the text; returns what was held back. */
  flush() {
    const held = this.utf8.decode();
    this.utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
    return held;
  }
}

/**
 * A pattern of the tokenizers library as JavaScript has it: \s there is Unicode's white space, and a script needs no name
 * before it.
 */
export function unicodePattern(source) {
  const translated = source
    .replaceAll(/\\(\\|s|S)/g, (whole, letter) => ({ s: '\\p{White_Space}', S: '\\P{White_Space}' })[letter] ?? whole)
    .replaceAll(/\\([pP])\{(\^?)(\w+)\}/g, (whole, letter, not, name) => {
      const class_ = not ? 'P' : letter;
      return isProperty(name) ? `\\${class_}{${name}}` : `\\${class_}{Script=${name}}`;
    });
  return new RegExp(translated, 'gu');
}

function isProperty(name) {
  try {
    return Boolean(new RegExp(`\\p{${name}}`, 'u'));
  } catch {
    return false;
  }
}

/** Cut a text into what a pattern finds and what lies between. */
function isolated(text, pattern) {
  const pieces = [];
  let at = 0;
  for (const { 0: found, index } of text.matchAll(pattern)) {
    if (index > at) pieces.push(text.slice(at, index));
    if (found) pieces.push(found);
    at = index + found.length;
  }
  if (at < text.length) pieces.push(text.slice(at));
  return pieces;
}

/** The character that stands for each of the 256 bytes: itself where it is printable, else 256 and up. */
function byteCharacters() {
  let next = 256;
  const printable = (byte) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}
