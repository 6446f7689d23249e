// The other side of the conformance suite: a shop with a REST API. A line of JSON in, a line of
// JSON out.

import { createServer } from "node:http";
import { createInterface } from "node:readline";

const TOKEN = "an-open-secret";
const orders = [];
const taken = {};

function answer(url, method, key) {
  const [, , kind, id] = url.pathname.split("/");
  if (kind === "orders" && method === "GET") {
    const begin = Number(url.searchParams.get("after") ?? 0);
    if (!(begin >= 0)) return [410, {}];
    const end = begin + Number(url.searchParams.get("limit"));
    const items = orders.slice(begin, end);
    return [200, { items, next: `${begin + items.length}`, more: end < orders.length }];
  }
  if (kind === "customers") {
    if (id === "broken") return [500, {}];
    return id === "C-1" ? [200, { tier: "gold" }] : [404, {}];
  }
  if (kind !== "orders" || id === "none") return [404, {}];
  if (taken[key]) return [409, {}];
  taken[key] = 1;
  return [201, {}];
}

const server = createServer((request, response) => {
  // Its body tells nothing that the test looks at.
  request.resume().on("end", () => {
    const allowed = request.headers.authorization === `Bearer ${TOKEN}`;
    const url = new URL(request.url, "http://shop");
    const key = request.headers["idempotency-key"];
    const [status, body] = allowed ? answer(url, request.method, key) : [401, {}];
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  });
});
server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ endpoint: `http://127.0.0.1:${server.address().port}/api` }));
});

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const ask = JSON.parse(line);
    for (let n = 0; n < (ask.put ?? 0); n++) orders.push({ id: `T-${orders.length}` });
    console.log(JSON.stringify(ask.put ? {} : { delivered: taken }));
  })
  .on("close", () => process.exit());
