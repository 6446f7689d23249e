// A fake of the other system, for the tests, `gantry plugin dev` and `gantry plugin test`: it has
// 25 things and their owners, and remembers what it was told. `node upstream.js` serves it until it
// is ended; for the conformance suite it takes orders on its input.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// Gives the server and its endpoint.
export async function start(address) {
  const state = { things: 25, told: new Set() };
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      const { authorization = "Bearer let-me-in" } = request.headers;
      const denied = authorization !== "Bearer let-me-in";
      const [status, body = null] = denied ? [401] : answer(request, state);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    });
  });
  const [host, port] = address.split(":");
  await new Promise((resolve, reject) => {
    server.on("error", reject).listen(Number(port), host, resolve);
  });
  return { server, state, endpoint: `http://${host}:${server.address().port}` };
}

function answer({ method, url, headers }, { things: count, told }) {
  const { pathname, searchParams } = new URL(url, "http://upstream");
  if (method === "POST" && pathname === "/events") {
    const key = headers["idempotency-key"];
    const isNew = !told.has(key);
    told.add(key);
    return [isNew ? 201 : 409];
  }
  if (method !== "GET") return [404];
  if (pathname === "/") return [200, {}];
  if (pathname === "/things") {
    const [after, limit] = ["after", "limit"].map((name) => Number(searchParams.get(name)));
    return after <= count ? [200, things(count, after, limit)] : [410];
  }
  const [, owner] = pathname.match(/^\/owners\/C-([012])$/) ?? [];
  return owner ? [200, { id: `C-${owner}`, tier: owner === "0" ? "gold" : "silver" }] : [404];
}

// `after=3&limit=10`: things 4 to 13.
function things(count, after, limit) {
  const end = Math.min(after + (limit || count), count);
  const ids = Array.from({ length: Math.max(end - after, 0) }, (_, at) => after + at + 1);
  const listed = ids.map((id) => ({ id, name: `Thing ${id}`, owner: `C-${id % 3}` }));
  return { things: listed, next: String(end), more: end < count };
}

// What the conformance suite asks for, a line each way, until its end.
async function obey({ endpoint, state }) {
  console.log(JSON.stringify({ endpoint }));
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    state.things += asked.put ?? 0;
    const delivered = Object.fromEntries([...state.told].map((key) => [key, 1]));
    console.log(JSON.stringify(asked.delivered ? { delivered } : {}));
  }
  process.exit();
}

const isProgram = import.meta.url === pathToFileURL(process.argv[1]).href;
if (isProgram && process.env.GANTRY_TEST_FOLDER) {
  await obey(await start("127.0.0.1:0"));
} else if (isProgram) {
  const { endpoint } = await start(process.env.UPSTREAM ?? "127.0.0.1:7878");
  console.log(`the fake upstream answers at ${endpoint}`);
}
