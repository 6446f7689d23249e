// A fake of the other system, for the tests and for `gantry plugin dev`: it has 25 things and
// their owners, and remembers what it was told. `node upstream.js` serves it until it is ended.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const THINGS = 25;

// Gives the server and its endpoint.
export async function start(address) {
  const told = new Set();
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      const { authorization = "Bearer let-me-in" } = request.headers;
      const denied = authorization !== "Bearer let-me-in";
      const [status, body = null] = denied ? [401] : answer(request, told);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    });
  });
  const [host, port] = address.split(":");
  await new Promise((resolve, reject) => {
    server.on("error", reject).listen(Number(port), host, resolve);
  });
  return { server, endpoint: `http://${host}:${server.address().port}` };
}

function answer({ method, url, headers }, told) {
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
    return [200, things(Number(searchParams.get("after")), Number(searchParams.get("limit")))];
  }
  const [, owner] = pathname.match(/^\/owners\/C-([012])$/) ?? [];
  return owner ? [200, { id: `C-${owner}`, tier: owner === "0" ? "gold" : "silver" }] : [404];
}

// `after=3&limit=10`: things 4 to 13.
function things(after, limit) {
  const end = Math.min(after + (limit || THINGS), THINGS);
  const ids = Array.from({ length: Math.max(end - after, 0) }, (_, at) => after + at + 1);
  const listed = ids.map((id) => ({ id, name: `Thing ${id}`, owner: `C-${id % 3}` }));
  return { things: listed, next: String(end), more: end < THINGS };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { endpoint } = await start(process.env.UPSTREAM ?? "127.0.0.1:7878");
  console.log(`the fake upstream answers at ${endpoint}`);
}
