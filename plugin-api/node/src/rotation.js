// Credentials that the source replaced, on their way to the hub.

import { PluginError } from "./errors.js";

// How long the hub may take to keep one.
const KEPT_WITHIN_MS = 10_000;

// Those that are not durable yet, the oldest first.
export class Rotations {
  #waiting = [];
  #newest = 0;
  #wake = () => {};

  // Waits until the hub keeps it.
  push(field, value) {
    this.#newest += 1;
    const kept = new Promise((resolve, reject) => {
      const message = `the hub does not keep the new \`${field}\`; is it in \`rotates\`?`;
      const late = () => reject(PluginError.transient(message));
      const timer = setTimeout(late, KEPT_WITHIN_MS);
      const done = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.push({ number: this.#newest, field, value, done });
    });
    this.#wake();
    return kept;
  }

  // The oldest that is not kept, once there is one; the signal ends the wait.
  async next(kept, signal) {
    while (this.#waiting.length > 0 && this.#waiting[0].number <= kept) {
      this.#waiting.shift().done();
    }
    while (this.#waiting.length === 0) {
      await new Promise((resolve, reject) => {
        this.#wake = resolve;
        const canceled = new PluginError("canceled", "the instance is about to stop");
        if (signal.aborted) reject(canceled);
        signal.addEventListener("abort", () => reject(canceled), { once: true });
      });
    }
    const [{ number, field, value }] = this.#waiting;
    return { number, field, value };
  }
}
