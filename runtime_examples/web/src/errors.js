// Bad input: a message for the person who gave it. It says what was wrong, the value seen, what was expected, what to do.

export class BundleError extends Error {
  name = 'BundleError';

  /** `message` may quote what a library threw, and JSON.parse quotes lines of the file: one line, without control characters. */
  constructor(message) {
    super(message.replace(/[\s\p{Cc}]+/gu, ' '));
  }
}

/** Return the first line of what a library threw: some throw numbers or strings. */
export function reason(error) {
  return String(error?.message ?? error).split('\n')[0];
}
