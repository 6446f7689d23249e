// Serves a hub: its operations become calls of the author's methods.

import { read } from "./config.js";
import { Context, Emitter } from "./context.js";
import { PluginError } from "./errors.js";
import { KIND } from "./frames.js";
import {
  answerToJson,
  batchToJson,
  bytesFromJson,
  captureToJson,
  deliveryFromJson,
  extendedToJson,
  leaseFromJson,
  outcomeFromJson,
  requestFromJson,
} from "./messages.js";
import { Callback, Capture, Lookup } from "./plugin.js";
import { Rotations } from "./rotation.js";

const STREAM = 17;

// What the request of an operation must have in it.
const FIELDS = new Map([
  [1, ["json"]],
  [2, ["name", "config"]],
  [4, ["instance", "role", "name", "settings"]],
  [7, []],
  [10, ["json", "field"]],
  [11, []],
  [16, ["limit"]],
  [STREAM, ["credit"]],
  [18, ["method", "path", "query"]],
  [19, ["outcomes"]],
]);

// Operations whose request is a list.
const LISTS = [20, 32, 48];

// All that a hub has made in this process.
export class Session {
  #plugin;
  #roles;
  #send;
  #clock;
  #instances = new Map();
  #attachments = new Map();
  #calls = new Map();
  #emitters = new Map();
  #logLevel = 3;

  #methods = new Map([
    [1, (op) => this.#validate(op)],
    [2, (op) => this.#create(op)],
    [3, (op) => this.#instance(op.target).plugin.check(op.signal)],
    [4, (op) => this.#attach(op)],
    [5, (op) => this.#attachment(op.target).role.checkSettings(op.signal)],
    [6, (op) => this.#attachments.delete(op.target)],
    [7, (op) => this.#drain(op)],
    [8, (op) => this.#instance(op.target).plugin.stop()],
    [9, (op) => this.#destroy(op)],
    [10, (op) => this.#suggest(op)],
    [11, (op) => this.#rotate(op)],
    [16, (op) => this.#poll(op)],
    [STREAM, (op) => this.#stream(op)],
    [18, (op) => this.#http(op)],
    [19, (op) => this.#acknowledge(op)],
    [20, (op) => this.#extend(op)],
    [32, (op) => this.#lookup(op)],
    [48, (op) => this.#deliver(op)],
  ]);

  // Operations that have a reply.
  static #REPLY = new Set([1, 10, 11, 16, 18, 20, 32, 48]);

  constructor(plugin, roles, send, clock) {
    this.#plugin = plugin;
    this.#roles = roles;
    this.#send = send;
    this.#clock = clock;
  }

  // How much the hub wants to know: 0 (nothing) to 5 (trace).
  setLogLevel(level) {
    this.#logLevel = level;
  }

  // Begins what the hub asks for.
  take({ kind, code, number, body }) {
    if (kind === KIND.op) this.#begin(code, number, body);
    else if (kind === KIND.cancel) this.#calls.get(number)?.abort();
    else this.#emitters.get(number)?.addCredit(body.readUInt32LE(0));
  }

  #begin(code, number, body) {
    const call = new AbortController();
    this.#calls.set(number, call);
    if (code === STREAM) this.#emitters.set(number, this.#emitter(number));
    const canceled = new Promise((_, reject) => {
      const error = new PluginError("canceled", "operation was called off");
      call.signal.addEventListener("abort", () => reject(error), { once: true });
    });
    // What goes on although it was called off has nobody to tell any more.
    Promise.race([this.#run(code, number, body, call.signal), canceled])
      .then((reply) => this.#send(KIND.complete, { number, body: reply }))
      .catch((error) => this.#failed(number, error))
      .finally(() => {
        this.#calls.delete(number);
        this.#emitters.get(number)?.close();
        this.#emitters.delete(number);
      });
  }

  async #run(code, number, body, signal) {
    const method = this.#methods.get(code);
    if (!method) throw PluginError.unsupported(`operation ${code}`);
    const target = body.readBigUInt64LE(0);
    const reply = await method({ number, target, request: requestOf(code, body), signal });
    return Session.#REPLY.has(code) ? JSON.stringify(reply) : "";
  }

  #failed(number, caught) {
    const error = caught instanceof RangeError && caught.message.startsWith("cannot send")
      ? PluginError.permanent(caught.message)
      : PluginError.of(caught);
    if (error.errorClass === "panic") {
      const fields = { exception: String(caught?.stack ?? caught) };
      this.#log(1, 0n, { target: "gantry-plugin", message: "a bug in the plug-in", fields });
    }
    const body = JSON.stringify(error);
    this.#send(KIND.complete, { code: error.code, number, body });
  }

  #log(level, about, line) {
    if (level > this.#logLevel) return;
    this.#send(KIND.log, { code: level, number: about, body: JSON.stringify(line) });
  }

  #validate({ request: { role, json } }) {
    try {
      if (role === undefined) return this.#plugin.validate(read(this.#plugin.config, json));
      const kind = this.#kind(role);
      return kind.validateSettings(read(kind.settings, json));
    } catch (error) {
      if (error.errorClass !== "config") throw error;
      return [{ path: error.field, message: error.message }];
    }
  }

  #create({ target, request: { name, config } }) {
    const log = (...line) => this.#log(...line);
    const rotations = new Rotations();
    const cx = new Context(name, { clock: this.#clock, log, about: target, rotations });
    const plugin = new this.#plugin(read(this.#plugin.config, config), cx);
    this.#instances.set(target, { plugin, cx, rotations });
  }

  #attach({ target, request }) {
    const { plugin, cx } = this.#instance(BigInt(request.instance));
    const kind = this.#kind(request.role);
    const settings = read(kind.settings, request.settings);
    const role = new kind(plugin, settings, cx.named(request.name, target));
    this.#attachments.set(target, { role, plugin });
  }

  async #suggest({ target, request: { role, json, field }, signal }) {
    return this.#instance(target).plugin.suggest(role, json, field, signal);
  }

  // It is no work that a drain should wait for.
  #rotate({ target, request: { kept }, signal }) {
    const { rotations, cx } = this.#instance(target);
    return rotations.next(kept, AbortSignal.any([signal, cx.draining]));
  }

  #drain({ target, signal }) {
    const { plugin, cx } = this.#instance(target);
    cx.drain();
    return plugin.drain(signal);
  }

  #destroy({ target }) {
    const plugin = this.#instances.get(target)?.plugin;
    this.#instances.delete(target);
    for (const [number, attachment] of this.#attachments) {
      if (attachment.plugin === plugin) this.#attachments.delete(number);
    }
  }

  async #poll(op) {
    const { from, limit } = op.request;
    return batchToJson(await this.#role(op, Capture).poll(bytesFromJson(from), limit, op.signal));
  }

  async #stream(op) {
    const emitter = this.#emitters.get(op.number);
    emitter.addCredit(op.request.credit);
    const position = bytesFromJson(op.request.from);
    await this.#role(op, Capture).stream(position, emitter, op.signal);
  }

  #emitter(number) {
    const send = (batch) => {
      this.#send(KIND.emit, { number, body: JSON.stringify(batchToJson(batch)) });
    };
    return new Emitter(0, send);
  }

  async #http(op) {
    const request = requestFromJson(op.request);
    return captureToJson(await this.#role(op, Capture).http(request, op.signal));
  }

  async #acknowledge(op) {
    const outcomes = op.request.outcomes.map(outcomeFromJson);
    await this.#role(op, Capture).acknowledge(outcomes, op.signal);
  }

  async #extend(op) {
    const leases = op.request.map(leaseFromJson);
    const extended = await this.#role(op, Capture).extend(leases, op.signal);
    count("extend", leases, extended);
    return extended.map(extendedToJson);
  }

  async #lookup(op) {
    const queries = op.request;
    const answers = await this.#role(op, Lookup).lookup(queries, op.signal);
    count("lookup", queries, answers);
    return answers.map(answerToJson);
  }

  async #deliver(op) {
    const deliveries = op.request.map(deliveryFromJson);
    const outcomes = await this.#role(op, Callback).deliver(deliveries, op.signal);
    count("deliver", deliveries, outcomes);
    return outcomes;
  }

  #kind(role) {
    const kind = this.#roles[role];
    if (!kind) throw PluginError.unsupported(role);
    return kind;
  }

  #instance(target) {
    return this.#instances.get(target) ?? unknown(target);
  }

  #attachment(target) {
    return this.#attachments.get(target) ?? unknown(target);
  }

  #role({ target }, kind) {
    const { role } = this.#attachment(target);
    if (!(role instanceof kind)) throw PluginError.unsupported(kind.name.toLowerCase());
    return role;
  }
}

// Reads a request; what is none is no bug of the author's.
function requestOf(code, body) {
  let request;
  try {
    request = body.length > 8 ? JSON.parse(body.toString("utf8", 8)) : undefined;
  } catch (error) {
    throw new PluginError("protocol", `cannot read the request: ${error.message}`);
  }
  const fields = FIELDS.get(code);
  const has = (field) => request[field] !== undefined;
  if (fields && !(request instanceof Object && fields.every(has))) {
    throw new PluginError("protocol", `the request needs ${fields.join(", ") || "an object"}`);
  }
  if (LISTS.includes(code) && !Array.isArray(request)) {
    throw new PluginError("protocol", "the request is no list");
  }
  return request;
}

function unknown(target) {
  throw new PluginError("protocol", `there is no target ${target}`);
}

function count(what, asked, given) {
  if (asked.length !== given.length) {
    throw new TypeError(`\`${what}\` gave ${given.length} answers to ${asked.length} questions`);
  }
}
