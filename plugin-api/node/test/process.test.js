// A plug-in in its process, as a hub sees it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";

import { KIND } from "../src/frames.js";
import { Hub } from "./hub.js";

const PLUG = new URL("plug.js", import.meta.url).pathname;
const [VALIDATE, CREATE, CHECK, ATTACH, DETACH, DRAIN, STOP, DESTROY] = [1, 2, 3, 4, 6, 7, 8, 9];
const [SUGGEST, ROTATE] = [10, 11];
const [POLL, STREAM, HTTP, ACKNOWLEDGE, EXTEND, LOOKUP, DELIVER] =
  [16, 17, 18, 19, 20, 32, 48];
const [OK, TRANSIENT, CONFIG, PANIC, CANCELED, UNSUPPORTED, PROTOCOL] = [0, 4, 9, 10, 11, 12, 13];
const [INSTANCE, CAPTURE, PARITY, TOLD] = [1, 2, 3, 4];

describe("a plug-in that runs", () => {
  let hub;
  let hello;

  const ok = async (...call) => {
    const [status, reply] = await hub.call(...call);
    assert.equal(status, OK, JSON.stringify(reply));
    return reply;
  };

  const fails = async (expected, ...call) => {
    const [status, error] = await hub.call(...call);
    assert.equal(status, expected, JSON.stringify(error));
    return error;
  };

  beforeEach(async () => {
    hub = new Hub(PLUG);
    hello = await hub.greet();
    await ok(CREATE, INSTANCE, { name: "row", config: { last: 6, key: "open sesame" } });
    for (const [target, role] of [[CAPTURE, "capture"], [PARITY, "lookup"], [TOLD, "callback"]]) {
      await ok(ATTACH, target, { instance: INSTANCE, role, name: role, settings: {} });
    }
  });

  afterEach(() => hub.close());

  test("says who it is", () => {
    assert.deepEqual([hello.protocol, hello.encodings], [[1, 1], ["json"]]);
    assert.deepEqual([hello.name, hello.version], ["counter", "1.2.3"]);
    assert.deepEqual(hello.manifest.capture.modes, ["poll", "stream", "http"]);
    assert.equal(hello.manifest.capture.leases, true);
  });

  test("tells faults with their place", async () => {
    const faults = await ok(VALIDATE, 0, { json: { last: 3 } });
    assert.deepEqual(faults, [{ path: "last", message: "must be even" }]);
    const [fault] = await ok(VALIDATE, 0, { json: { last: 4, pause: "soon" } });
    assert.equal(fault.path, "pause");
    const [step] = await ok(VALIDATE, 0, { role: "capture", json: { step: 0 } });
    assert.equal(step.path, "step");
    assert.deepEqual(await ok(VALIDATE, 0, { role: "lookup", json: {} }), []);
  });

  test("polls on from a position", async () => {
    const first = await ok(POLL, CAPTURE, { limit: 2 });
    assert.equal(first.more, true);
    const payloads = first.records.map(({ payload }) => payload);
    assert.deepEqual(payloads, ['{"number":1}', '{"number":2}']);
    const [, { message_id: id, position, lease }] = first.records;
    assert.deepEqual([id, position], ["2", "3"]);
    assert.deepEqual(lease, { token: "2", for_ms: 1000 });
    const rest = await ok(POLL, CAPTURE, { from: position, limit: 10 });
    assert.equal(rest.records.length, 4);
  });

  test("waits for credit in a stream", async () => {
    const op = hub.start(STREAM, CAPTURE, { credit: 2 });
    const first = await hub.next();
    assert.deepEqual([first.kind, first.body.records.length], [KIND.emit, 2]);
    // Nothing may come before there is credit: a call gets its answer first.
    await ok(LOOKUP, PARITY, []);
    hub.credit(op, 10);
    const { body } = await hub.next();
    assert.deepEqual(body.records.map(({ payload }) => payload), ["2", "3", "4", "5"]);
    assert.deepEqual(body.position_after, { base64: "/w==" });
    const drain = hub.start(DRAIN, INSTANCE, { deadline_ms: 1000 });
    const ended = [(await hub.next()).number, (await hub.next()).number];
    assert.deepEqual(new Set(ended), new Set([op, drain]));
    assert.equal(hub.logs.length, 1);
    const [{ code, number, body: line }] = hub.logs;
    assert.deepEqual([code, number, line.message], [2, BigInt(INSTANCE), "draining row"]);
    assert.deepEqual(line.fields, { key: "***" });
  });

  test("counts credit that comes at once", async () => {
    const op = hub.start(STREAM, CAPTURE, { credit: 0 });
    hub.credit(op, 6);
    assert.equal((await hub.next()).body.records.length, 6);
  });

  test("captures requests or refuses them", async () => {
    const request = { method: "POST", path: "/", query: "", headers: [["x-key", "1"]] };
    const body = { base64: "/w==" };
    const { capture } = await ok(HTTP, CAPTURE, { ...request, body });
    assert.deepEqual(capture.records, [{ payload: body }]);
    assert.equal(capture.response.body, "outcomes");
    const { refuse } = await ok(HTTP, CAPTURE, { ...request, headers: [], body: "" });
    assert.equal(refuse.status, 401);
  });

  test("learns outcomes, and says how long to wait", async () => {
    await ok(ACKNOWLEDGE, CAPTURE, { outcomes: [{ outcome: "accepted", position: "3" }] });
    const error = await fails(3, ACKNOWLEDGE, CAPTURE, { outcomes: [{ outcome: "retry" }] });
    const { class: errorClass, retry_after_ms: after, causes } = error;
    assert.deepEqual([errorClass, after, causes], ["throttled", 2000, ["HTTP 429"]]);
  });

  test("extends leases, each in its way", async () => {
    const leases = ["4", "40", "x"].map((token) => ({ token, for_ms: 1000 }));
    const [kept, lost, failed] = await ok(EXTEND, CAPTURE, leases);
    assert.deepEqual([kept, lost], [{ kept: { for_ms: 2000 } }, { lost: { reason: "taken" } }]);
    assert.equal(failed.failed.class, "transient");
  });

  test("recommends values", async () => {
    const asked = { role: "capture", json: { step: 2 }, field: "step" };
    const suggestions = await ok(SUGGEST, INSTANCE, asked);
    assert.deepEqual(suggestions, [{ value: 3, note: "the next of capture" }]);
    assert.deepEqual(await ok(SUGGEST, INSTANCE, { ...asked, field: "x" }), []);
  });

  test("tells what rotates until it is kept", async () => {
    let rotate = hub.start(ROTATE, INSTANCE, {});
    const waits = hub.start(SUGGEST, INSTANCE, { json: {}, field: "key" });
    const { number, body } = await hub.next();
    assert.deepEqual([number, body], [rotate, { number: 1, field: "key", value: "key-2" }]);
    assert.deepEqual(await ok(ROTATE, INSTANCE, {}), body);
    rotate = hub.start(ROTATE, INSTANCE, { kept: 1 });
    assert.equal((await hub.next()).number, waits);
    const drain = hub.start(DRAIN, INSTANCE, { deadline_ms: 1000 });
    const ended = [(await hub.next()).number, (await hub.next()).number];
    assert.deepEqual(new Set(ended), new Set([rotate, drain]));
  });

  test("finds, misses and fails in a look-up", async () => {
    const queries = [4, 40, -4].map((number) => ({ attributes: { number } }));
    const [found, missing, failed] = await ok(LOOKUP, PARITY, queries);
    assert.deepEqual([found, missing], [{ found: { attributes: { even: true } } }, "missing"]);
    assert.equal(failed.failed.class, "permanent");
  });

  test("ends each delivery in its way", async () => {
    const delivery = { item_id: "1", external_id: "o-7", attempt: 1, details: {} };
    const again = { ...delivery, attempt: 2 };
    const gone = { ...delivery, details: { gone: true } };
    const outcomes = await ok(DELIVER, TOLD, [delivery, again, gone]);
    const refused = { class: "gone", message: "no o-7" };
    assert.deepEqual(outcomes, ["done", "already_done", { refused }]);
  });

  test("completes what is called off", async () => {
    const op = hub.start(LOOKUP, PARITY, [{ attributes: { number: "slow" } }]);
    await ok(LOOKUP, PARITY, []);
    hub.send(KIND.cancel, { number: op });
    const { number, code } = await hub.next();
    assert.deepEqual([number, code], [op, CANCELED]);
    hub.send(KIND.cancel, { number: op });
    await ok(LOOKUP, PARITY, []);
  });

  test("tells a bug as a panic, and the log says where", async () => {
    const error = await fails(PANIC, LOOKUP, PARITY, [{ attributes: {} }]);
    assert.match(error.message, /^TypeError/);
    assert.match(hub.logs[0].body.fields.exception, /plug\.js/);
  });

  test("calls trouble of the network transient", async () => {
    assert.match((await fails(TRANSIENT, CHECK, INSTANCE)).message, /ECONNREFUSED/);
  });

  test("says what it does not know", async () => {
    await fails(UNSUPPORTED, 77, 0);
    await fails(UNSUPPORTED, DELIVER, PARITY, []);
    await fails(PROTOCOL, LOOKUP, 999, []);
    const error = await fails(CONFIG, CREATE, 9, { name: "x", config: { last: "many" } });
    assert.equal(error.field, "last");
  });

  test("forgets what is destroyed", async () => {
    await ok(STOP, INSTANCE);
    await ok(DETACH, TOLD);
    await fails(PROTOCOL, DELIVER, TOLD, []);
    await ok(DESTROY, INSTANCE);
    await fails(PROTOCOL, LOOKUP, PARITY, []);
  });

  test("answers pings and takes the time from them", async () => {
    const body = Buffer.alloc(8);
    body.writeBigInt64LE(1_800_000_000_000n);
    hub.send(KIND.ping, { number: 7n, body });
    const { kind, number } = await hub.next();
    assert.deepEqual([kind, number], [KIND.pong, 7n]);
    const [{ found }] = await ok(LOOKUP, PARITY, [{ attributes: { number: "time" } }]);
    assert(found.attributes.now_ms >= 1_800_000_000_000);
  });

  test("says goodbye after a shutdown", async () => {
    hub.send(KIND.shutdown, { body: Buffer.alloc(4) });
    const { kind, body } = await hub.next();
    assert.deepEqual([kind, body], [KIND.goodbye, ""]);
    assert.equal(await hub.ended, 0);
  });

  test("ends at once without a hub, though a method runs", async () => {
    hub.start(LOOKUP, PARITY, [{ attributes: { number: "slow" } }]);
    assert.equal(await hub.close(), 0);
  });

  test("ends when the hub breaks the protocol", async () => {
    hub.socket.write(Buffer.from("00000000ff0000000000000000000000", "hex"));
    const { kind, body } = await hub.next();
    assert.deepEqual([kind, body], [KIND.goodbye, "a frame of kind 255 with flags 0"]);
    assert.equal(await hub.ended, 1);
  });
});

describe("a plug-in that a person starts", () => {
  let folder;
  let plug;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "gantry-"));
    cpSync(new URL("../src", import.meta.url).pathname, join(folder, "src"), { recursive: true });
    cpSync(PLUG, join(folder, "test/plug.js"));
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    plug = join(folder, "test/plug.js");
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const start = (...options) => execFileSync(process.execPath, [plug, ...options]).toString();

  test("says what it is", () => {
    assert.match(start(), /^counter 1\.2\.3, a plug-in of the Gantry hub: Counts, for tests\./);
  });

  test("writes its manifest, and tells when that is stale", async () => {
    assert.match(start("--manifest"), /gantry-plugin\.json/);
    const path = join(folder, "test/gantry-plugin.json");
    const text = readFileSync(path, "utf8");
    const said = JSON.parse(text);
    assert.deepEqual(said.command, ["node", "plug.js"]);
    assert.deepEqual(said.permissions, { read: ["config:folder"] });
    assert.deepEqual(said.config.required, ["last"]);
    const { last, key, pause } = said.config.properties;
    const description = "The number to stop at";
    assert.deepEqual(last, { type: "integer", description, minimum: 1 });
    assert.equal(key["x-gantry-secret"], true);
    assert.equal(pause.default, "5s");
    assert.equal(said.lookup.settings.additionalProperties, false);

    const fresh = new Hub(plug);
    assert.equal((await fresh.greet()).name, "counter");
    assert.equal(await fresh.close(), 0);

    writeFileSync(path, text.replace("1.2.3", "1.2.2"));
    const hub = new Hub(plug);
    const { kind, body } = await hub.receive();
    assert.equal(kind, KIND.goodbye);
    assert.match(body, /plug\.js --manifest/);
    assert.equal(await hub.ended, 1);
  });
});
