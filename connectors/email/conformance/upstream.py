"""A mailbox on a private Dovecot for the conformance suite: a line of JSON in, a line of JSON out.

Replies are handed to a small SMTP server in here, which counts them by what stands in them.
"""

import collections
import ctypes
import json
import os
import shutil
import signal
import smtplib
import socket
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

folder = Path(os.environ["GANTRY_TEST_FOLDER"], "mail")
templates = Path(__file__).resolve().parents[3] / "tests/peers/mail"
handed = collections.Counter()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Sink(socketserver.StreamRequestHandler):
    """Takes any mail, and counts it by the first line of its text."""

    def handle(self):
        def say(line):
            self.wfile.write(line.encode() + b"\r\n")

        say("220 sink")
        while line := self.rfile.readline():
            word = line.split(b" ")[0].strip().upper()
            if word == b"DATA":
                say("354 go on")
                mail = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    mail += part
                text = mail.split(b"\r\n\r\n", 1)[1].decode()
                handed[text.split("\r\n")[0]] += 1
                say("250 taken")
            elif word == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


def start_dovecot(ports):
    for name in ("run", "state", "boxes"):
        (folder / name).mkdir(parents=True)
    folder.parent.chmod(0o755)
    shutil.chown(folder / "boxes", "nobody", "nogroup")
    (folder / "users").write_text("support@hub.test:{PLAIN}a-made-up-password\n")
    for name in ("cert.pem", "key.pem"):
        (folder / name).write_text("")
    config = (templates / "dovecot.conf").read_text()
    values = {"FOLDER": folder, "MECHANISMS": "plain login", "OAUTH": "", **ports}
    for name, value in values.items():
        config = config.replace(f"@{name}@", str(value))
    # No certificate, so no TLS.
    is_tls = lambda line: line.strip().startswith("ssl")
    config = "\n".join(line for line in config.split("\n") if not is_tls(line)) + "\nssl = no\n"
    (folder / "dovecot.conf").write_text(config)
    command = ["/usr/sbin/dovecot", "-F", "-c", str(folder / "dovecot.conf")]
    # It ends with this program, also when that is killed. 1 is PR_SET_PDEATHSIG.
    ends_too = lambda: ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, preexec_fn=ends_too, **quiet)
    for port in (ports["IMAP"], ports["LMTP"]):
        while server.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    if connection.recv(1):
                        break
            except ConnectionError:
                time.sleep(0.01)
    return server


def deliver(lmtp, sender, ids):
    with smtplib.LMTP("127.0.0.1", lmtp) as server:
        for id in ids:
            mail = (
                f"From: {sender}@hub.test\r\nTo: support@hub.test\r\nMessage-ID: <{id}@mail.test>\r\n"
                f"Subject: Hello from {sender.title()}\r\n\r\nHello.\r\n"
            )
            server.sendmail(f"{sender}@hub.test", ["support@hub.test"], mail)


ports = {name: free_port() for name in ("IMAP", "IMAPS", "LMTP", "AUTH")}
server = start_dovecot(ports)
try:
    sink = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Sink)
    sink.daemon_threads = True
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    deliver(ports["LMTP"], "ann", ["ann"])
    deliver(ports["LMTP"], "cy", ["cy"])
    smtp = str(sink.server_address[1])
    print(json.dumps({"imap": f"127.0.0.1:{ports['IMAP']}", "smtp.port": smtp}), flush=True)
    put = 0
    for line in sys.stdin:
        ask = json.loads(line)
        if "put" in ask:
            deliver(ports["LMTP"], "bob", [f"m-{put + n:06}" for n in range(ask["put"])])
            put += ask["put"]
            print("{}", flush=True)
        else:
            print(json.dumps({"delivered": dict(handed)}), flush=True)
finally:
    server.terminate()
    server.wait()
