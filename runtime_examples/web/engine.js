// The page's side of the worker: each call is a promise, with events on the way.

export class Engine {
  constructor() {
    this.calls = new Map();
    this.last = 0;
    this.worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.failed = null;
    this.worker.onerror = () => {
      this.failed = new Error(
        'the worker of this page did not start; expected every file of it on the server; reload',
      );
      for (const call of this.calls.values()) call.reject(this.failed);
    };
  }

  /** Call a method of the worker; returns a promise of its result, with the call's `id`. */
  call(method, args = {}, onEvent = () => {}) {
    const id = ++this.last;
    if (this.failed) return Object.assign(Promise.reject(this.failed), { id });
    const promise = new Promise((resolve, reject) => this.calls.set(id, { resolve, reject, onEvent }));
    this.worker.postMessage({ id, method, args });
    return Object.assign(promise, { id });
  }

  /** End a text after the token in work; its call then gives what it has. */
  stop(id) {
    this.worker.postMessage({ method: 'stop', args: { id } });
  }

  /** End the worker and what it holds; calls in work are refused. */
  end() {
    this.worker.terminate();
    this.failed = new Error('this model is closed; open it again');
    for (const call of this.calls.values()) call.reject(this.failed);
  }

  hear({ id, event, result, error }) {
    const call = this.calls.get(id);
    if (!call) return;
    if (event) return call.onEvent(event);
    this.calls.delete(id);
    if (error === undefined) call.resolve(result);
    else call.reject(new Error(error));
  }
}
