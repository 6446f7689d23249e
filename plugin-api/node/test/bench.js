// Echo: batches of 256 questions in, answers out, records in, records out, JSON both ways.
//
//     node test/bench.js

import { Hub } from "./hub.js";
import { PAYLOAD } from "./payload.js";

const [BATCHES, IN_FLIGHT, BATCH] = [400, 4, 256];

const hub = new Hub(new URL("echo.js", import.meta.url).pathname);
await hub.greet();
await hub.call(2, 1, { name: "echo", config: {} });
for (const [target, role] of [[2, "capture"], [3, "lookup"]]) {
  await hub.call(4, target, { instance: 1, role, name: role, settings: {} });
}

async function measure(what, code, target, request) {
  for (let n = 0; n < IN_FLIGHT; n += 1) hub.start(code, target, request);
  const began = performance.now();
  for (let n = 0; n < BATCHES; n += 1) {
    await hub.next();
    if (n < BATCHES - IN_FLIGHT) hub.start(code, target, request);
  }
  const rate = (BATCHES * BATCH * 1000) / (performance.now() - began);
  console.log(`${what}: ${Math.round(rate).toLocaleString("en")} a second`);
}

const bytes = `${JSON.stringify(PAYLOAD).length} bytes`;
const queries = (attributes) => Array(BATCH).fill({ attributes });
await measure("look-ups (a number)", 32, 3, queries({ number: 7 }));
await measure(`look-ups (${bytes})`, 32, 3, queries(PAYLOAD));
await measure(`records (${bytes})`, 16, 2, { limit: BATCH });
await hub.close();
