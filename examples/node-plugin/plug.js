// A REST API as a source: a list of orders becomes items, a resource is looked up, events are
// posted. The class of each error follows from the HTTP status.

import {
  Callback,
  Capture,
  Lookup,
  Plugin,
  PluginError,
  alreadyDone,
  done,
  duration,
  object,
  optional,
  record,
  refused,
  retry,
  run,
  secret,
  text,
} from "gantry-plugin";

class Rest extends Plugin {
  static about = {
    name: "rest",
    version: "0.1.0",
    description: "A REST API: lists of things, single things, and events posted to them",
    permissions: { network: ["config:endpoint"] },
  };

  static config = object({
    endpoint: text("Where the API answers: https://shop.example/api"),
    token: optional(secret("Sent as a bearer token")),
    timeout: optional(duration("For one request"), "10s"),
  });

  static validate({ endpoint }) {
    if (/^https?:\/\/[^/]/.test(endpoint)) return [];
    return [{ path: "endpoint", message: "must begin with `http://` or `https://`" }];
  }

  async check() {
    const response = await this.request("/");
    // Whether there is anything at this path is the API's business.
    if (!response.ok && response.status !== 404) throw failure("ask the API", response);
  }

  // Answers what the API does; only trouble of the network is thrown.
  async request(path, { method = "GET", headers = {}, body } = {}) {
    const { endpoint, token, timeout } = this.config;
    const authorization = token && { authorization: `Bearer ${token.expose()}` };
    return fetch(endpoint.replace(/\/$/, "") + path, {
      method,
      headers: { accept: "application/json", ...authorization, ...headers },
      body,
      signal: AbortSignal.timeout(timeout),
    });
  }
}

// What an answer that is no success means.
function failure(what, response) {
  const { status } = response;
  const message = `cannot ${what}: HTTP ${status}`;
  if (status === 401 || status === 403) return PluginError.authDenied(message);
  if (status === 404 || status === 410) return PluginError.gone(message);
  if (status === 429) {
    const seconds = Number(response.headers.get("retry-after"));
    return PluginError.throttled(message, seconds ? { retryAfterMs: seconds * 1000 } : {});
  }
  return status >= 500 ? PluginError.transient(message) : PluginError.permanent(message);
}

// `/customers/:customer_id` with the values in place of the names.
function fill(path, values) {
  return path.replace(/:(\w+)/g, (_, name) => encodeURIComponent(values[name] ?? ""));
}

// Asks `GET path?after=…&limit=…`; the API answers `{"items": […], "next": "…", "more": true}`.
class Things extends Capture {
  static settings = object({
    path: text("The list: /orders"),
    id: optional(text("The key of an item that tells its version, as `message_id`")),
  });

  async poll(position, limit) {
    const { path, id } = this.settings;
    const after = position ? `&after=${encodeURIComponent(position.toString())}` : "";
    const response = await this.plugin.request(`${path}?limit=${limit}${after}`);
    if (response.status === 410) throw PluginError.cursorExpired(`cannot go on after ${position}`);
    if (!response.ok) throw failure(`list ${path}`, response);
    const { items, next, more } = await response.json();
    const fields = (item) => (id && item[id] !== undefined ? { messageId: `${item[id]}` } : {});
    const records = items.map((item) => record.json(item, fields(item)));
    return { records, positionAfter: next, more };
  }
}

// Asks `GET path` for each query.
class Thing extends Lookup {
  static settings = object({ path: text("With attributes: /customers/:customer_id") });

  async lookup(queries) {
    return Promise.all(queries.map((query) => this.ask(query)));
  }

  async ask({ attributes }) {
    const path = fill(this.settings.path, attributes);
    const response = await this.plugin.request(path);
    if (response.status === 404) return undefined;
    return response.ok ? response.json() : failure(`get ${path}`, response);
  }
}

// Sends `POST path` for each event; the API answers 409 to one it has already.
class Events extends Callback {
  static settings = object({ path: text("With keys of the event: /orders/:external_id/events") });

  async deliver(deliveries) {
    return Promise.all(deliveries.map((delivery) => this.tell(delivery)));
  }

  async tell(delivery) {
    const { idempotencyKey, event, externalId, occurredAtMs, details, attributes } = delivery;
    const path = fill(this.settings.path, { ...attributes, external_id: externalId, event });
    const headers = { "content-type": "application/json", "idempotency-key": idempotencyKey };
    const body = JSON.stringify({ event, externalId, occurredAtMs, details, attributes });
    try {
      const response = await this.plugin.request(path, { method: "POST", headers, body });
      if (response.status === 409) return alreadyDone;
      if (response.ok) return done;
      const error = failure(`post to ${path}`, response);
      return ["gone", "permanent"].includes(error.errorClass) ? refused(error) : retry(error);
    } catch (error) {
      return retry(error);
    }
  }
}

run(Rest, { capture: Things, lookup: Thing, callback: Events });
