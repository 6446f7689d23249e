// A plug-in that does what the tests ask for.

import { connect } from "node:net";
import { once } from "node:events";

import {
  Callback,
  Capture,
  Lookup,
  Plugin,
  PluginError,
  Secret,
  alreadyDone,
  done,
  duration,
  integer,
  object,
  optional,
  record,
  refuse,
  refused,
  run,
  secret,
} from "../src/index.js";

class Counter extends Plugin {
  static about = {
    name: "counter",
    version: "1.2.3",
    description: "Counts, for tests.",
    permissions: { read: ["config:folder"] },
  };

  static config = object({
    last: integer("The number to stop at", { minimum: 1 }),
    key: optional(secret("Opens it"), ""),
    pause: optional(duration(), "5s"),
  });

  static validate({ last }) {
    return last % 2 ? [{ path: "last", message: "must be even" }] : [];
  }

  async check() {
    await once(connect(1, "127.0.0.1"), "connect");
  }

  async suggest(role, told, field) {
    if (field === "key") await this.cx.rotated("key", new Secret("key-2"));
    return field === "step" ? [{ value: told.step + 1, note: `the next of ${role}` }] : [];
  }

  async drain() {
    this.cx.log.warn(`draining ${this.cx.instance}`, { key: this.config.key });
    this.cx.log.debug("not wanted");
  }
}

class Numbers extends Capture {
  static settings = object({ step: optional(integer(), 1) });

  static validateSettings({ step }) {
    return step ? [] : [{ path: "step", message: "must be 1 or more" }];
  }

  async poll(position, limit) {
    const records = [];
    const { last } = this.plugin.config;
    for (let n = Number(position ?? 1); n <= last && records.length < limit; n += 1) {
      const fields = { messageId: `${n}`, position: `${n + 1}` };
      const lease = { token: `${n}`, forMs: 1000 };
      records.push(record.json({ number: n }, { ...fields, lease }));
    }
    return { records, more: records.length === limit };
  }

  async stream(position, out) {
    const records = Array.from({ length: this.plugin.config.last }, (_, n) => record(`${n}`));
    await out.emit({ records, positionAfter: Buffer.from([255]) });
    await once(this.cx.draining, "abort");
  }

  async http(request) {
    if (!request.header("x-key")) return refuse(401, "no key");
    return { records: [record(request.body)] };
  }

  async acknowledge(outcomes) {
    if (outcomes.some(({ outcome }) => outcome === "retry")) {
      throw PluginError.throttled("cannot acknowledge", { retryAfterMs: 2000, cause: "HTTP 429" });
    }
  }

  async extend(leases) {
    return leases.map(({ token, forMs }) => {
      if (Number.isNaN(Number(token))) return PluginError.transient("cannot tell");
      return token > this.plugin.config.last ? { lost: "taken" } : { keptForMs: forMs * 2 };
    });
  }
}

class Parity extends Lookup {
  async lookup(queries, signal) {
    return Promise.all(queries.map(({ attributes }) => this.answer(attributes.number, signal)));
  }

  async answer(number, signal) {
    if (number === "slow") await once(signal, "abort");
    if (number === "time") return { now_ms: this.cx.nowMs() };
    if (number < 0) return PluginError.permanent("cannot tell");
    if (number > this.plugin.config.last) return undefined;
    return { even: number.valueOf() % 2 === 0 };
  }
}

class Told extends Callback {
  async deliver(deliveries) {
    return deliveries.map(({ details, attempt, externalId }) => {
      if (details.gone) return refused(PluginError.gone(`no ${externalId}`));
      return attempt > 1 ? alreadyDone : done;
    });
  }
}

run(Counter, { capture: Numbers, lookup: Parity, callback: Told });
