// Schemas as configuration, and the parts that need no process.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inspect } from "node:util";

import { read, readDuration, unmarkedSecrets } from "../src/config.js";
import { Decoder, KIND } from "../src/frames.js";
import {
  Context,
  Emitter,
  PluginError,
  Secret,
  boolean,
  choice,
  duration,
  integer,
  list,
  map,
  number,
  object,
  optional,
  secret,
  text,
} from "../src/index.js";
import { batchToJson } from "../src/messages.js";

const ALL = object({
  name: text(),
  tls: object({ ca: text(), verify: optional(boolean(), true) }),
  level: optional(choice(["low", "high"]), "low"),
  share: optional(number(), 0.5),
  tags: optional(list(text()), []),
  weights: optional(map(integer())),
  pause: optional(duration(), "1m"),
  key: optional(secret()),
  password: optional(text()),
});

describe("a configuration", () => {
  test("has a schema", () => {
    assert.deepEqual(ALL.required, ["name", "tls"]);
    const level = { type: "string", enum: ["low", "high"], default: "low" };
    assert.deepEqual(ALL.properties.level, level);
    assert.deepEqual(unmarkedSecrets(ALL), ["password"]);
    assert(!JSON.stringify(ALL).includes("optional"));
  });

  test("arrives as its types", () => {
    const found = read(ALL, { name: "n", tls: { ca: "/ca" }, weights: { b: 2 }, key: "k" });
    assert.equal(found.key.expose(), "k");
    delete found.key;
    assert.deepEqual(found, {
      name: "n",
      tls: { ca: "/ca", verify: true },
      level: "low",
      share: 0.5,
      tags: [],
      weights: { b: 2 },
      pause: 60_000,
    });
  });

  test("tells the place of a mistake", () => {
    const good = { name: "n", tls: { ca: "/ca" } };
    const cases = [
      [{ ...good, tls: {} }, "tls.ca"],
      [{ ...good, tls: { ca: 1 } }, "tls.ca"],
      [{ ...good, extra: 1 }, "extra"],
      [{ ...good, constructor: 1 }, "constructor"],
      [{ ...good, level: "middle" }, "level"],
      [{ ...good, tags: ["a", 2] }, "tags[1]"],
      [{ ...good, weights: { b: true } }, "weights.b"],
    ];
    for (const [told, field] of cases) {
      assert.throws(() => read(ALL, told), { errorClass: "config", field });
    }
  });

  test("has durations as people write them", () => {
    const read = ["0s", "250ms", "1h30m"].map((text) => readDuration(text));
    assert.deepEqual(read, [0, 250, 5_400_000]);
    for (const wrong of ["", "5", "s", "5 s"]) assert.throws(() => readDuration(wrong));
  });
});

describe("parts", () => {
  test("a secret does not show", () => {
    const hidden = new Secret("sesame");
    const shown = `${hidden} ${inspect({ hidden })} ${JSON.stringify([hidden])}`;
    assert.equal(shown, '*** { hidden: *** } ["***"]');
    assert.equal(hidden.expose(), "sesame");
  });

  test("a chain of causes without end is cut", () => {
    const [first, second] = [new Error("a"), new Error("b")];
    [first.cause, second.cause] = [second, first];
    const error = PluginError.permanent("x", { cause: first });
    assert.equal(error.toJSON().causes.length, 16);
  });

  test("an emitter sends in parts and ends", async () => {
    const sent = [];
    const out = new Emitter(2, (batch) => sent.push(batch));
    const records = ["0", "1", "2"].map((payload) => ({ payload }));
    const emitting = out.emit({ records, positionAfter: "3" });
    await new Promise(setImmediate);
    assert.deepEqual([sent.length, sent[0].positionAfter], [1, undefined]);
    out.addCredit(1);
    await emitting;
    const parts = sent.map((part) => [part.records.length, part.positionAfter]);
    assert.deepEqual(parts, [[2, undefined], [1, "3"]]);
    const waiting = out.emit({ positionAfter: "4" });
    out.close();
    await assert.rejects(waiting, { errorClass: "canceled" });
  });

  test("a context drains", () => {
    const cx = new Context("row");
    assert.equal(cx.isDraining, false);
    cx.drain();
    assert.deepEqual([cx.isDraining, cx.draining.aborted, cx.name], [true, true, "row"]);
  });

  test("a position is short", () => {
    assert.throws(() => batchToJson({ positionAfter: "x".repeat(4097) }), /4097 bytes/);
  });

  test("frames come in pieces", () => {
    // The examples of the protocol's manual.
    const op = "080000000300030009000000000000000100000000000000";
    const said = Buffer.from(`${op}00000000050000000900000000000000`, "hex");
    const decoder = new Decoder();
    const frames = [...said].flatMap((byte) => [...decoder.take(Buffer.from([byte]))]);
    const kinds = frames.map(({ kind, code, number, body }) => [kind, code, number, body.length]);
    assert.deepEqual(kinds, [[KIND.op, 3, 9n, 8], [KIND.cancel, 0, 9n, 0]]);
    const long = Buffer.from("ffffffff050000000900000000000000", "hex");
    assert.throws(() => [...new Decoder().take(long)], /at most/);
  });
});
