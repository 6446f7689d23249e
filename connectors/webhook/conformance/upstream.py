"""The receiver of callbacks for the conformance suite: a line of JSON in, a line of JSON out.

It takes what is signed with its key, once for each id, as receivers of webhooks do.
"""

import base64
import hashlib
import hmac
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY")
effects = {}
lock = threading.Lock()


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        name = self.headers["webhook-id"]
        signed = f"{name}.{self.headers['webhook-timestamp']}.".encode() + body
        mac = hmac.new(KEY, signed, hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(mac).decode()
        if wanted not in self.headers["webhook-signature"].split(" "):
            return self.answer(403)
        if json.loads(body)["data"]["external_id"] == "nobody":
            return self.answer(422)
        with lock:
            effects.setdefault(name.replace("%2E", "."), 1)
        self.answer(204)

    def do_OPTIONS(self):
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"endpoint": f"http://127.0.0.1:{server.server_port}/hooks"}), flush=True)
for line in sys.stdin:
    if "delivered" in json.loads(line):
        with lock:
            print(json.dumps({"delivered": effects}), flush=True)
    else:
        print('{"unsupported": true}', flush=True)
