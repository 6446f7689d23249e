"""A program that answers whatever it is asked with success, and so does nearly all wrong."""

import json
import os
import struct

HEADER = struct.Struct("<IBBHQ")
HELLO, OP, COMPLETE, PING, PONG, SHUTDOWN = 1, 3, 4, 9, 10, 11
VALIDATE = 1


def read(n):
    data = b""
    while len(data) < n:
        part = os.read(3, n - len(data))
        if not part:
            raise SystemExit
        data += part
    return data


def send(kind, number, body=b""):
    os.write(3, HEADER.pack(len(body), kind, 0, 0, number) + body)


hello = {"protocol": [1, 1], "encodings": ["json"], "name": "careless", "version": "1"}
send(HELLO, 0, json.dumps(hello).encode())
while True:
    length, kind, _, code, number = HEADER.unpack(read(HEADER.size))
    read(length)
    if kind == OP:
        send(COMPLETE, number, b"[]" if code == VALIDATE else b"")
    elif kind == PING:
        send(PONG, number)
    elif kind == SHUTDOWN:
        raise SystemExit
