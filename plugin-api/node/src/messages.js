// What a plug-in and the hub say to each other, between its names here and those of the protocol.

import { PluginError } from "./errors.js";

const POSITION_LEN_MAX = 4096;

export function record(payload, fields = {}) {
  return { ...fields, payload };
}

record.json = (value, fields = {}) => ({ ...fields, payload: JSON.stringify(value) });

record.unreadable = (payload, reason, fields = {}) => ({
  contentType: "application/octet-stream",
  ...fields,
  payload,
  unreadable: reason,
});

export const done = "done";
export const alreadyDone = "already_done";
export const retry = (error) => ({ retry: PluginError.of(error) });
export const refused = (error) => ({ refused: PluginError.of(error) });

export function refuse(status, title) {
  const body = JSON.stringify({ status, title });
  return { refuse: { status, headers: [["content-type", "application/problem+json"]], body } };
}

// Bytes as a text if they are UTF-8, else as base64.
export function bytesToJson(value) {
  if (value === undefined || typeof value === "string") return value;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const text = bytes.toString();
  // What is no UTF-8 does not come back as it was.
  return Buffer.from(text).equals(bytes) ? text : { base64: bytes.toString("base64") };
}

export function bytesFromJson(told) {
  if (told === undefined) return undefined;
  return typeof told === "string" ? Buffer.from(told) : Buffer.from(told.base64, "base64");
}

function positionToJson(position) {
  if (position === undefined) return undefined;
  const length = Buffer.byteLength(position);
  if (length > POSITION_LEN_MAX) {
    const most = `at most ${POSITION_LEN_MAX}`;
    throw PluginError.permanent(`cannot take a position of ${length} bytes: ${most}`);
  }
  return bytesToJson(position);
}

function recordToJson(record) {
  return {
    payload: bytesToJson(record.payload),
    content_type: record.contentType,
    message_id: record.messageId,
    version: record.version,
    position: positionToJson(record.position),
    partition: record.partition,
    message: record.message,
    ack_token: bytesToJson(record.ackToken),
    occurred_at_ms: record.occurredAtMs,
    traceparent: record.traceparent,
    unreadable: record.unreadable,
    lease: record.lease && { token: record.lease.token, for_ms: record.lease.forMs },
  };
}

export function batchToJson({ records = [], positionAfter, more }) {
  return {
    records: records.map(recordToJson),
    position_after: positionToJson(positionAfter),
    more,
  };
}

export function outcomeFromJson(told) {
  return {
    outcome: told.outcome,
    messageId: told.message_id,
    ackToken: bytesFromJson(told.ack_token),
    position: bytesFromJson(told.position),
    partition: told.partition,
    reason: told.reason,
  };
}

export function requestFromJson(told) {
  const headers = told.headers ?? [];
  return {
    method: told.method,
    path: told.path,
    query: told.query,
    headers,
    header: (name) => headers.find(([key]) => key === name)?.[1],
    body: bytesFromJson(told.body ?? ""),
    remote: told.remote,
  };
}

export function captureToJson(answer) {
  if (answer.refuse) {
    const { status, headers = [], body = "" } = answer.refuse;
    return { refuse: { status, headers, body: bytesToJson(body) } };
  }
  const { records = [], status = 202, statusRefused = 422, headers = [], body } = answer;
  const response = {
    status,
    status_refused: statusRefused,
    headers,
    body: body === undefined ? "outcomes" : { fixed: bytesToJson(body) },
  };
  return { capture: { records: records.map(recordToJson), response } };
}

export function answerToJson(answer) {
  if (answer === undefined || answer === null) return "missing";
  if (answer instanceof Error) return { failed: PluginError.of(answer) };
  return { found: { attributes: answer } };
}

export function leaseFromJson(told) {
  return { token: told.token, forMs: told.for_ms };
}

export function extendedToJson(extended) {
  if (extended instanceof Error) return { failed: PluginError.of(extended) };
  if (extended.lost !== undefined) return { lost: { reason: extended.lost } };
  return { kept: { for_ms: extended.keptForMs } };
}

export function deliveryFromJson(told) {
  return {
    idempotencyKey: told.idempotency_key,
    event: told.event,
    itemId: told.item_id,
    externalId: told.external_id,
    capturePoint: told.capture_point,
    occurredAtMs: told.occurred_at_ms,
    sequence: told.sequence,
    attempt: told.attempt,
    details: told.details,
    attributes: told.attributes,
    traceparent: told.traceparent,
  };
}
