"""A fake of the other system, for the tests, `gantry plugin dev` and `gantry plugin test`.

It has 25 things and their owners, and remembers what it was told. `python3 upstream.py` serves it
until it is ended; for the conformance suite it takes orders on its input.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

THINGS = 25


class Upstream(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        super().__init__((host, int(port)), Handler)
        self.things = THINGS
        self.told: set[str] = set()
        self.endpoint = f"http://{host}:{self.server_address[1]}"

    def start(self) -> str:
        threading.Thread(target=self.serve_forever, args=[0.02], daemon=True).start()
        return self.endpoint


class Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        owner = url.path.removeprefix("/owners/C-")
        if url.path == "/":
            self.answer(200, {})
        elif url.path == "/things":
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            after, limit = query.get("after", "0"), int(query.get("limit", THINGS))
            if not after.isdigit() or int(after) > self.server.things:
                self.answer(410)
                return
            self.answer(200, things(self.server.things, int(after), limit))
        elif owner in ("0", "1", "2"):
            self.answer(200, {"id": f"C-{owner}", "tier": "gold" if owner == "0" else "silver"})
        else:
            self.answer(404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path != "/events":
            self.answer(404)
            return
        key = self.headers.get("idempotency-key", "")
        is_new = key not in self.server.told
        self.server.told.add(key)
        self.answer(201 if is_new else 409)

    def answer(self, status: int, body: Any = None) -> None:
        if self.headers.get("authorization") not in (None, "Bearer let-me-in"):
            status, body = 401, None
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *values: Any) -> None:
        pass


def things(count: int, after: int, limit: int) -> dict[str, Any]:
    """`after=3&limit=10`: things 4 to 13."""
    end = min(after + limit, count)
    ids = range(after + 1, end + 1)
    listed = [{"id": id, "name": f"Thing {id}", "owner": f"C-{id % 3}"} for id in ids]
    return {"things": listed, "next": str(end), "more": end < count}


def obey(upstream: Upstream) -> None:
    """What the conformance suite asks for, a line each way, until its end."""
    print(json.dumps({"endpoint": upstream.start()}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        upstream.things += asked.get("put", 0)
        told = dict.fromkeys(upstream.told, 1)
        print(json.dumps({"delivered": told} if "delivered" in asked else {}), flush=True)


if __name__ == "__main__":
    if "GANTRY_TEST_FOLDER" in os.environ:
        obey(Upstream("127.0.0.1:0"))
        sys.exit()
    upstream = Upstream(os.environ.get("UPSTREAM", "127.0.0.1:7878"))
    print(f"the fake upstream answers at {upstream.endpoint}", flush=True)
    upstream.serve_forever()
