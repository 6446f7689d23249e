/**
 * All that the author of a Gantry plug-in in JavaScript or TypeScript imports. A whole plug-in:
 *
 * ```js
 * import { Capture, Plugin, PluginError, object, record, run, secret, text } from "gantry-plugin";
 *
 * class Shop extends Plugin {
 *   static about = { name: "shop", version: "0.1.0", description: "Orders of the shop" };
 *   static config = object({ endpoint: text("Where the shop answers"), key: secret("Its key") });
 * }
 *
 * class Orders extends Capture {
 *   async poll(position, limit, signal) {
 *     const page = await fetchOrders(this.plugin.config, position, limit, signal);
 *     const records = page.orders.map((order) => record.json(order, { messageId: order.id }));
 *     return { records, positionAfter: page.end, more: page.more };
 *   }
 * }
 *
 * run(Shop, { capture: Orders });
 * ```
 *
 * `node plug.js --manifest` writes `gantry-plugin.json`; put the folder with both into a plug-in
 * folder of the hub. Start reading at `Plugin`, then the role's class and `PluginError`.
 *
 * What holds for all methods:
 *
 * - They may run concurrently on one instance, except where a method says otherwise.
 * - Never block the event loop: a plug-in that does not answer pings for 10 s is started anew.
 * - The hub may call an operation off: `signal` aborts, and the answer is not waited for.
 * - An exception that is no `PluginError`, no error of the system or the network and no time-out is
 *   a bug: the operation ends with class `panic`, and the hub makes the instance anew.
 * - No method retries, sleeps or backs off on its own: it throws a `PluginError`, and its class
 *   decides.
 */

/** Bytes; a text stands for its UTF-8. */
export type Bytes = string | Uint8Array;

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

// --- Errors

export type ErrorClass =
  /** Credentials were right and are no longer: the hub creates the instance anew, once. */
  | "auth_expired"
  /** The source does not let us in: the instance stops until a person acts. */
  | "auth_denied"
  /** Too many requests: the hub waits at least as long as `retryAfterMs` says. */
  | "throttled"
  /** Worth trying again with growing pauses: network, time-out, an unavailable server. */
  | "transient"
  /** The source has another version of the thing than the one we speak of. */
  | "conflict"
  /** The thing no longer exists in the source. */
  | "gone"
  /** The source no longer knows the position; the hub reads from the beginning. */
  | "cursor_expired"
  /** Trying again would give the same. */
  | "permanent"
  /** The configuration is wrong; `field` says where. */
  | "config"
  /** A bug in the plug-in; made by this package. */
  | "panic"
  /** The operation was called off; made by this package. */
  | "canceled"
  /** The plug-in does not do this; made by this package. */
  | "unsupported"
  /** One side did not understand the other; made by this package. */
  | "protocol";

/** `cause` and its causes are told to the hub, too. */
export interface ErrorOptions {
  cause?: unknown;
}

/**
 * What went wrong: a class to act on and a text to read (lower case, no full stop, what was tried
 * and the object).
 */
export class PluginError extends Error {
  constructor(
    errorClass: ErrorClass,
    message: string,
    options?: ErrorOptions & { retryAfterMs?: number; field?: string },
  );
  readonly errorClass: ErrorClass;
  readonly retryAfterMs?: number;
  readonly field?: string;
  static authExpired(message: string, options?: ErrorOptions): PluginError;
  static authDenied(message: string, options?: ErrorOptions): PluginError;
  /** `retryAfterMs` as the source gave it. */
  static throttled(
    message: string,
    options?: ErrorOptions & { retryAfterMs?: number },
  ): PluginError;
  static transient(message: string, options?: ErrorOptions): PluginError;
  static conflict(message: string, options?: ErrorOptions): PluginError;
  static gone(message: string, options?: ErrorOptions): PluginError;
  static cursorExpired(message: string, options?: ErrorOptions): PluginError;
  static permanent(message: string, options?: ErrorOptions): PluginError;
  /** `field` is a dotted path (`tls.ca`), empty for the whole. */
  static config(field: string, message: string, options?: ErrorOptions): PluginError;
  static unsupported(operation: string): PluginError;
  /** What an exception of any kind tells the hub. */
  static of(error: unknown): PluginError;
}

// --- Configuration

/** A JSON Schema whose values arrive as `T`. */
export interface Schema<T> {
  readonly type?: string;
  readonly [keyword: string]: unknown;
  /** Only for the type checker. */
  readonly "~value"?: T;
}

/** The type of the values of a schema: `Infer<typeof Shop.config>`. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/** A value that must never be seen: it prints as `***`. */
export class Secret {
  constructor(value: string);
  /** The value itself: the only way to it. Use it at once, and keep no copy. */
  expose(): string;
}

/** Further keywords of JSON Schema, such as `minimum`. */
export type Keywords = { [keyword: string]: Json };

export function text(description?: string, more?: Keywords): Schema<string>;
export function integer(description?: string, more?: Keywords): Schema<number>;
export function number(description?: string, more?: Keywords): Schema<number>;
export function boolean(description?: string, more?: Keywords): Schema<boolean>;
/** The operator gives it by reference: `{ env = "SHOP_KEY" }`. */
export function secret(description?: string): Schema<Secret>;
/** Written as `"1h30m"`, arrives as milliseconds. */
export function duration(description?: string): Schema<number>;
export function choice<const V extends string>(
  values: readonly V[],
  description?: string,
): Schema<V>;
export function list<T>(items: Schema<T>, description?: string): Schema<T[]>;
export function map<T>(
  values: Schema<T>,
  description?: string,
): Schema<{ [key: string]: T }>;
/** May be left out; `absent`, as the operator would write it, stands in its place. */
export function optional<T>(schema: Schema<T>, absent: Json): Schema<T>;
export function optional<T>(schema: Schema<T>): Schema<T | undefined>;
export function object<P extends { [key: string]: Schema<unknown> }>(
  properties: P,
  description?: string,
): Schema<{ [K in keyof P]: Infer<P[K]> }>;

// --- Messages

/** What a record asks the hub to do. Where the plug-in does not say, the capture point does. */
export type MessageKind =
  | "create"
  | "update"
  | "hold"
  | "resume"
  | "cancel"
  | "complete"
  | "restart";

export interface RecordFields {
  /** `application/json` if absent. */
  contentType?: string;
  /** The source's id of this message, stable over redelivery: the hub knows a repeat by it. */
  messageId?: string;
  /** The version of the thing in the source, where it has one. */
  version?: string;
  /** The place right after this record, at most 4096 bytes: reading from here gives the next. */
  position?: Bytes;
  /** The part of the source in which records are ordered; none = one order. */
  partition?: string;
  message?: MessageKind;
  /** Comes back in `RecordOutcome`. */
  ackToken?: Bytes;
  /** When it happened in the source: Unix milliseconds. */
  occurredAtMs?: number;
  /** W3C trace context the source sent along. */
  traceparent?: string;
  /** The source has only lent it: `Capture.extend` is called as long as the item is open. */
  lease?: Lease;
}

/** A thing that the source lent to us and takes back in time: a lock, a visibility time-out. */
export interface Lease {
  /** Of one thing it stays the same, also when the thing is lent again; at most 1024 bytes. */
  token: string;
  /** How long it was lent for when it was last granted, in milliseconds. */
  forMs: number;
}

/**
 * What became of a lease that was to be extended: it is ours for so long from now on; somebody else
 * has it, or it is gone, and the item is withdrawn with that reason; or that cannot be said now.
 */
export type Extended = { keptForMs: number; lost?: undefined } | { lost: string } | Error;

/** One thing a source handed over; the hub's mapping reads the payload. */
export interface SourceRecord extends RecordFields {
  payload: Bytes;
  /** Why the payload could not be read: the record ends as a dead letter. */
  unreadable?: string;
}

/** A record of bytes as the source gave them. */
export function record(payload: Bytes, fields?: RecordFields): SourceRecord;
export namespace record {
  /** A record of a JSON value. */
  function json(value: unknown, fields?: RecordFields): SourceRecord;
  /** One that cannot be read: its raw bytes and the reason (`line 7: …`). */
  function unreadable(payload: Bytes, reason: string, fields?: RecordFields): SourceRecord;
}

/** Records in the order of the source. */
export interface Batch {
  records?: SourceRecord[];
  /** Where to go on once all records are settled, also when there are none. */
  positionAfter?: Bytes;
  /** There is more at once: poll again without waiting for the schedule. */
  more?: boolean;
}

/** What became of one record, told once that is durable. */
export interface RecordOutcome {
  /** There is no fifth way; after `retry` make it come again. */
  outcome: "accepted" | "filtered" | "refused" | "retry";
  messageId?: string;
  ackToken?: Buffer;
  position?: Buffer;
  partition?: string;
  /** Why it was refused or must be retried, for a person. */
  reason?: string;
}

/** A mistake in a configuration, with its place: a dotted path, empty for the whole. */
export interface ConfigFault {
  path: string;
  message: string;
}

/** A value that could stand at a key of the config, and what it is. */
export interface Suggestion {
  value: Json;
  note?: string;
}

/** Names in lower case; a name may come more than once. */
export type Headers = [name: string, value: string][];

/** A request the hub's server received for a capture point. */
export interface HttpRequest {
  /** Upper case: `POST`. */
  method: string;
  /** The path behind the capture point's own, from `/` on. */
  path: string;
  /** The raw query string, without the question mark. */
  query: string;
  headers: Headers;
  /** The first value of a header; `name` in lower case. */
  header(name: string): string | undefined;
  /** The bytes as received: signatures are computed over these. */
  body: Buffer;
  /** The sender's address, as far as the hub knows it. */
  remote?: string;
}

/**
 * Records of a request and what the hub answers once every record is settled; or what it answers to
 * a request that is refused. If a record has to be retried, the hub answers 503 by itself.
 */
export type HttpCapture =
  | {
      records: SourceRecord[];
      /** If at least one record was accepted or filtered, or there is none: 202 if absent. */
      status?: number;
      /** If each record was refused: 422 if absent. */
      statusRefused?: number;
      headers?: Headers;
      /** The hub's JSON with one outcome a record if absent. */
      body?: Bytes;
      refuse?: undefined;
    }
  | { refuse: { status: number; headers?: Headers; body?: Bytes } };

/** A refusal of a request that says why, as `application/problem+json`. */
export function refuse(status: number, title: string): HttpCapture;

/** One question to another system. */
export interface Query {
  /** What the operator's mapping asks with. */
  attributes: JsonObject;
  /** W3C trace context of what the question is about. */
  traceparent?: string;
}

/** What the other system knows; nothing if it has no such key; an error of this one query. */
export type Answer = JsonObject | null | undefined | Error;

/** One life-cycle event on its way to a subscriber. */
export interface Delivery {
  /** The same on every retry: the other side drops a repeat by it. */
  idempotencyKey: string;
  /** What happened: `captured`, `assigned`, `completed`, … */
  event: string;
  /** The hub's id of the work item, a number of 64 bits. */
  itemId: string;
  /** The source's id of the work item. */
  externalId: string;
  /** Where the item entered. */
  capturePoint: string;
  /** When it happened: Unix milliseconds. */
  occurredAtMs: number;
  /** Rising in the life of the item; gaps are events not subscribed to. */
  sequence: number;
  /** 1 on the first try. */
  attempt: number;
  /** What belongs to the event, such as agent and disposition. */
  details: JsonObject;
  /** The item's attributes at the event. */
  attributes: JsonObject;
  /** W3C trace context. */
  traceparent?: string;
}

/** How one delivery ended. */
export type DeliveryOutcome =
  | "done"
  | "already_done"
  | { retry: PluginError }
  | { refused: PluginError };

/** The other side has it. */
export const done: "done";
/** The other side had it already (a repeat); counts as done. */
export const alreadyDone: "already_done";
/** Not now; the class of the error says when to try again. */
export function retry(error: Error): DeliveryOutcome;
/** Never; a dead letter, and later deliveries of the same item wait for it. */
export function refused(error: Error): DeliveryOutcome;

// --- The world outside

type Say = (message: string, fields?: { [name: string]: unknown }) => void;

/** An instance or attachment, seen from inside. */
export class Context {
  /** Outside a hub, for the author's own tests, a name is enough. */
  constructor(instance: string);
  /** The operator's name of the source: `crm` for `[source.crm]`. */
  readonly instance: string;
  /** The operator's name of the capture point, look-up or callback; else that of the source. */
  readonly name: string;
  /** The hub's log. */
  readonly log: { error: Say; warn: Say; info: Say; debug: Say; trace: Say };
  /** The hub's time in Unix milliseconds: ask it rather than the system. */
  nowMs(): number;
  /** Aborts when the instance is about to stop: finish what is begun, begin nothing. */
  readonly draining: AbortSignal;
  readonly isDraining: boolean;
  /**
   * Gives a credential back that the source has replaced, and waits until the hub keeps it: from
   * then on, also after a restart, it stands in place of the one the operator gave, until the
   * operator gives another one. `field` is its key in the source's config, a dotted path, which
   * `about.rotates` names. Outside a hub it resolves at once.
   */
  rotated(field: string, value: Secret): Promise<void>;
  /** Says that the instance is about to stop; in the author's tests, too. */
  drain(): void;
}

/** Hands batches to the hub. A record costs one credit, a batch without records one as well. */
export class Emitter {
  /** Outside a hub, for the author's own tests, `send` may push into an array. */
  constructor(credit: number, send: (batch: Batch) => void);
  /**
   * Sends a batch, waiting for credit; one larger than the credit at hand goes in parts. Throws a
   * `PluginError` of class `canceled` once the hub no longer listens: return from the stream.
   */
  emit(batch: Batch): Promise<void>;
}

// --- What an author derives from

/** What a plug-in needs from the machine; a key of the config as `config:KEY`. */
export interface Permissions {
  /** Hosts and ports it connects to: `host:port`, `*:443`. */
  network?: string[];
  /** Paths it reads. */
  read?: string[];
  /** Paths it writes. */
  write?: string[];
  /** Programs it starts. */
  exec?: string[];
  /** Environment variables it reads. */
  env?: string[];
}

export interface About {
  /** What the operator writes in `plugin = "…"`: small letters, digits, `_`. */
  name: string;
  /** The plug-in's own version. */
  version: string;
  /** One sentence on what it connects to. */
  description?: string;
  permissions?: Permissions;
  /** Keys of the config whose secret the source replaces while it is used: `cx.rotated`. */
  rotates?: string[];
}

/** A connection to a source system: one object is one `[source.NAME]` of the operator. */
export class Plugin<C = unknown> {
  static about?: About;
  /** The schema of `[source.NAME] config`; absent = there is nothing to configure. */
  static config: Schema<any>;
  /**
   * Makes the instance; no input or output, no timer: connections open on first use. May throw
   * `PluginError.config` for what only shows when the parts are put together.
   */
  constructor(config: C, cx: Context);
  readonly config: C;
  readonly cx: Context;
  /** Checks what the schema cannot say; all faults at once. Pure: no input or output. */
  static validate(config: any): ConfigFault[];
  /** Connects as running would and changes nothing. */
  check(signal: AbortSignal): Promise<void>;
  /**
   * Recommends values for a key of the config that somebody is writing. `role` is absent for the
   * source's config; `told` is what stands beside the key so far, and may be wrong. Connects if it
   * must, and changes nothing.
   */
  suggest(
    role: "capture" | "lookup" | "callback" | undefined,
    told: JsonObject,
    field: string,
    signal: AbortSignal,
  ): Promise<Suggestion[]>;
  /** Finishes what is begun; operations may still be running, `cx.isDraining` is true. */
  drain(signal: AbortSignal): Promise<void>;
  /** Lets go: closes connections. Called after the last operation ended; not after a crash. */
  stop(): Promise<void>;
}

declare class Role<P extends Plugin<any>, S> {
  /** The schema of the table's `settings`; absent = there is nothing to set. */
  static settings: Schema<any>;
  /** As the plug-in's own: no input or output, no timer. */
  constructor(plugin: P, settings: S, cx: Context);
  readonly plugin: P;
  readonly settings: S;
  readonly cx: Context;
  /** As `Plugin.validate`, for the settings. */
  static validateSettings(settings: any): ConfigFault[];
  /** As `Plugin.check`, for one table: its file is there, its statement can be prepared. */
  checkSettings(signal: AbortSignal): Promise<void>;
}

/**
 * Gets records out of a source: one object is one `[capture.NAME]`. Write the methods of the modes
 * you offer (`poll`, `stream`, `http`); which ones you wrote is what the manifest says.
 *
 * The hub stores position and records in one transaction and acknowledges afterwards, so after a
 * crash it hands back the last stored position and gets the rest again: at least once.
 */
export class Capture<P extends Plugin<any> = Plugin, S = unknown> extends Role<P, S> {
  /**
   * At most `limit` records that come after `position`, in the order of the source. Called on the
   * operator's schedule and at once after a batch that said `more`; never twice at a time.
   * `position` is absent on the very first poll, and may be an earlier one than the last batch's
   * end: then give the same records again.
   */
  poll(position: Buffer | undefined, limit: number, signal: AbortSignal): Promise<Batch>;
  /**
   * Emits records as they come, until `cx.draining` aborts or the source ends; never twice at a
   * time. `await out.emit(batch)` waits for credit, and that is the back-pressure.
   */
  stream(position: Buffer | undefined, out: Emitter, signal: AbortSignal): Promise<void>;
  /**
   * Says what a request to the capture point's own path means; any number at a time. The sender is
   * answered only after the records are settled. A request that is wrong in itself is no error:
   * return `refuse(…)`.
   */
  http(request: HttpRequest, signal: AbortSignal): Promise<HttpCapture>;
  /**
   * Learns what became of records, after that is durable: the time to delete or commit. May repeat,
   * and may not come at all after a crash.
   */
  acknowledge(outcomes: RecordOutcome[], signal: AbortSignal): Promise<void>;
  /**
   * Extends what the source has lent (`RecordFields.lease`), one answer a lease, in order. Called
   * after a third of its time as long as the work item is open, and at once after a start of the
   * hub; never twice at a time. A thrown error is that of the call as a whole: the hub asks again.
   */
  extend(leases: Lease[], signal: AbortSignal): Promise<Extended[]>;
}

/** Answers questions about an item: one object is one `[lookup.NAME]`. */
export class Lookup<P extends Plugin<any> = Plugin, S = unknown> extends Role<P, S> {
  /**
   * Answers each query, in the order asked; any number of calls at a time. A thrown error is that
   * of the call as a whole.
   */
  lookup(queries: Query[], signal: AbortSignal): Promise<Answer[]>;
}

/** Tells a source what happened to its items: one object is one `[callback.NAME]`. */
export class Callback<P extends Plugin<any> = Plugin, S = unknown> extends Role<P, S> {
  /**
   * Delivers each event; as many outcomes, in the order given. Calls may be concurrent, but never
   * two with the same item. May repeat with the same idempotency key: write so that a second time
   * does no harm, and say `alreadyDone`.
   */
  deliver(deliveries: Delivery[], signal: AbortSignal): Promise<DeliveryOutcome[]>;
}

/**
 * What the program does: serves the hub that started it. Started by hand it says what it is; with
 * `--manifest` it writes `gantry-plugin.json` beside itself, which the hub reads without running
 * anything.
 */
export function run(
  plugin: new (config: any, cx: Context) => Plugin<any>,
  roles: {
    capture?: new (plugin: any, settings: any, cx: Context) => Capture<any, any>;
    lookup?: new (plugin: any, settings: any, cx: Context) => Lookup<any, any>;
    callback?: new (plugin: any, settings: any, cx: Context) => Callback<any, any>;
  },
): void;
