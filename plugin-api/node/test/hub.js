// The hub's half, as far as the tests need it: starts a plug-in and talks to it over its socket.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";

import { Decoder, KIND, encode } from "../src/frames.js";

export class Hub {
  // One plug-in process and the connection to it.
  constructor(program) {
    const env = { PATH: process.env.PATH, GANTRY_PLUGIN_COOKIE: "test" };
    // What Node calls a pipe is a connected stream socket.
    const stdio = ["ignore", "pipe", "inherit", "pipe"];
    this.process = spawn(process.execPath, [program], { env, stdio });
    this.ended = once(this.process, "exit").then(([status]) => status);
    this.socket = this.process.stdio[3];
    this.frames = this.#frames();
    this.logs = [];
    this.lastOp = 0n;
  }

  async *#frames() {
    const decoder = new Decoder();
    for await (const chunk of this.socket) yield* decoder.take(chunk);
  }

  async receive() {
    const { value, done } = await this.frames.next();
    assert(!done, "the plug-in ended");
    const text = value.body.toString();
    return { ...value, body: /^[{[]/.test(text) ? JSON.parse(text) : text };
  }

  send(kind, parts) {
    this.socket.write(encode(kind, parts));
  }

  // Awaits the hello and answers it.
  async greet(welcome = {}) {
    const { kind, body } = await this.receive();
    assert.equal(kind, KIND.hello);
    const agreed = { protocol: 1, encoding: "json", hub: "test", log_level: 3, now_ms: 1 };
    this.send(KIND.welcome, { body: JSON.stringify({ ...agreed, ...welcome }) });
    return body;
  }

  // Starts an operation; gives its number.
  start(code, target, request) {
    this.lastOp += 1n;
    const body = request === undefined ? "" : JSON.stringify(request);
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(target));
    const number = this.lastOp;
    this.send(KIND.op, { code, number, body: Buffer.concat([head, Buffer.from(body)]) });
    return number;
  }

  // The next frame that is no log line.
  async next() {
    for (;;) {
      const frame = await this.receive();
      if (frame.kind !== KIND.log) return frame;
      this.logs.push(frame);
    }
  }

  // Runs an operation to its end: its status and reply.
  async call(code, target, request) {
    const op = this.start(code, target, request);
    const { kind, code: status, number, body } = await this.next();
    assert.deepEqual([kind, number], [KIND.complete, op]);
    return [status, body];
  }

  credit(number, n) {
    const body = Buffer.alloc(4);
    body.writeUInt32LE(n);
    this.send(KIND.credit, { number, body });
  }

  async close() {
    this.socket.destroy();
    return this.ended;
  }
}
