// The plug-in against the fake upstream, without a hub: `node --test`.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import * as other from "./plugin/other.js";
import { Context, PluginError, Secret } from "./plugin/node_modules/gantry-plugin/src/index.js";
import { start } from "./upstream.js";

const cx = new Context("other");
let upstream;

before(async () => {
  upstream = await start("127.0.0.1:0");
});

after(() => {
  upstream.server.closeAllConnections();
  upstream.server.close();
});

function connected(token = "let-me-in", endpoint = upstream.endpoint) {
  const config = { endpoint, token: new Secret(token), timeout: 10_000 };
  assert.deepEqual(other.@Name@.validate(config), []);
  return new other.@Name@(config, cx);
}

test("an endpoint that is no URL is told", () => {
  const [fault] = other.@Name@.validate({ endpoint: "other.example" });
  assert.equal(fault.path, "endpoint");
});

test("it checks whether the other system lets it in", async () => {
  await connected().check();
  await assert.rejects(connected("wrong").check(), { errorClass: "auth_denied" });
  // Nobody listens there any more: the hub will try again.
  const { server, endpoint } = await start("127.0.0.1:0");
  await new Promise((closed) => server.close(closed));
  const absent = await connected("", endpoint).check().catch(PluginError.of);
  assert.equal(absent.errorClass, "transient");
});
//@if capture

test("it captures all things once, page by page", async () => {
  const capture = new other.Things(connected(), { path: "/things" }, cx);
  const ids = [];
  let [position, more] = [undefined, true];
  while (more) {
    const batch = await capture.poll(position, 10);
    ids.push(...batch.records.map(({ payload }) => JSON.parse(payload).id));
    position = Buffer.from(batch.positionAfter);
    more = batch.more;
  }
  assert.deepEqual(ids, Array.from({ length: 25 }, (_, at) => at + 1));
  assert.deepEqual((await capture.poll(position, 10)).records, []);
});
//@end
//@if lookup

test("it finds owners and says who is unknown", async () => {
  const settings = { path: "/owners", attribute: "customer_id" };
  const lookup = new other.Owners(connected(), settings, cx);
  const asked = [{ customer_id: "C-0" }, { customer_id: "C-7" }, {}];
  const queries = asked.map((attributes) => ({ attributes }));
  const [known, ...unknown] = await lookup.lookup(queries);
  assert.equal(known.tier, "gold");
  assert.deepEqual(unknown, [undefined, undefined]);
});
//@end
//@if callback

test("it tells each event once, however often it is delivered", async () => {
  const delivery = { idempotencyKey: "key-1", event: "done", externalId: "1", occurredAtMs: 0 };
  const callback = new other.Events(connected(), { path: "/events" }, cx);
  assert.deepEqual(await callback.deliver([delivery]), ["done"]);
  assert.deepEqual(await callback.deliver([delivery]), ["already_done"]);
  const nowhere = new other.Events(connected(), { path: "/nowhere" }, cx);
  const [outcome] = await nowhere.deliver([delivery]);
  assert.ok(outcome.refused, JSON.stringify(outcome));
});
//@end
