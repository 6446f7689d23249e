// What a plug-in knows of the world outside: names, the hub's time and log, whether to end.

import { PluginError } from "./errors.js";

// The hub's time, as it last said it; in between, time passes by itself.
export class Clock {
  #hubMs = 0;
  #toldAt = performance.now();

  set(nowMs) {
    this.#hubMs = nowMs;
    this.#toldAt = performance.now();
  }

  nowMs() {
    return this.#hubMs + Math.trunc(performance.now() - this.#toldAt);
  }
}

export class Context {
  #clock;
  #drain;
  #rotations;
  #log;

  // Outside a hub, for the author's own tests, a name is enough.
  constructor(instance, { name, clock, drain, log, about = 0n, rotations } = {}) {
    this.instance = instance;
    this.name = name ?? instance;
    this.#clock = clock ?? new Clock();
    this.#rotations = rotations;
    this.#drain = drain ?? new AbortController();
    this.#log = log ?? ((level, target, line) => console.log(level, line));
    const at = (level) => (message, fields) => this.#log(level, about, line(message, fields));
    const line = (message, fields = {}) => ({ target: instance, message: String(message), fields });
    this.log = { error: at(1), warn: at(2), info: at(3), debug: at(4), trace: at(5) };
  }

  // The same world, seen from a capture point, look-up or callback of the instance.
  named(name, about) {
    const [clock, drain, log] = [this.#clock, this.#drain, this.#log];
    const rotations = this.#rotations;
    return new Context(this.instance, { name, clock, drain, log, about, rotations });
  }

  async rotated(field, value) {
    await this.#rotations?.push(field, value.expose());
  }

  nowMs() {
    return this.#clock.nowMs();
  }

  get draining() {
    return this.#drain.signal;
  }

  get isDraining() {
    return this.#drain.signal.aborted;
  }

  drain() {
    this.#drain.abort();
  }
}

// Hands batches to the hub. A record costs one credit, a batch without records one as well.
export class Emitter {
  #credit;
  #send;
  #closed = false;
  #wake = () => {};
  #turn = Promise.resolve();

  // Outside a hub, for the author's own tests, `send` may push into an array.
  constructor(credit, send) {
    this.#credit = credit;
    this.#send = send;
  }

  // Sends a batch, waiting for credit; one larger than the credit at hand goes in parts.
  emit(batch) {
    const sent = this.#turn.then(() => this.#emit(batch));
    this.#turn = sent.catch(() => {});
    return sent;
  }

  async #emit({ records = [], positionAfter }) {
    let rest = records;
    for (;;) {
      await this.#wait();
      const n = Math.min(Math.max(rest.length, 1), this.#credit);
      const part = rest.slice(0, n);
      rest = rest.slice(n);
      this.#credit -= n;
      const last = rest.length === 0;
      this.#send({ records: part, positionAfter: last ? positionAfter : undefined, more: !last });
      if (last) return;
    }
  }

  async #wait() {
    while (this.#credit === 0 && !this.#closed) {
      await new Promise((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#closed) {
      throw new PluginError("canceled", "cannot emit: the hub has ended the stream");
    }
  }

  addCredit(n) {
    this.#credit += n;
    this.#wake();
  }

  close() {
    this.#closed = true;
    this.#wake();
  }
}
