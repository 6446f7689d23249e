// Things of the other system. Start reading at the plug-in's config, then the class of each role.

import {
  //@if callback
  Callback,
  //@end
  //@if capture
  Capture,
  //@end
  //@if lookup
  Lookup,
  //@end
  Plugin,
  PluginError,
  //@if callback
  alreadyDone,
  done,
  //@end
  duration,
  object,
  optional,
  //@if capture
  record,
  //@end
  //@if callback
  refused,
  retry,
  //@end
  secret,
  text,
} from "gantry-plugin";

export class @Name@ extends Plugin {
  static about = {
    name: "@name@",
    version: "0.1.0",
    description: "Things of the other system",
    // In a process of its own it gets this and no more: it talks to the endpoint, no file is its.
    permissions: { network: ["config:endpoint"] },
  };

  static config = object({
    endpoint: text("Where it answers: http://127.0.0.1:7878"),
    token: optional(secret("Sent as a bearer token")),
    timeout: optional(duration("For one request"), "10s"),
  });

  static validate({ endpoint }) {
    if (/^https?:\/\/[^/]/.test(endpoint)) return [];
    return [{ path: "endpoint", message: "must begin with `http://` or `https://`" }];
  }

  async check() {
    await this.request("/");
  }

  // Asks the other system; 404 and 409 are answers, the rest that is no success is thrown. Never
  // tried again here: the class of the error tells the hub what to do.
  async request(path, { method = "GET", key, body } = {}) {
    const { endpoint, token, timeout } = this.config;
    const headers = { "content-type": "application/json" };
    if (token) headers.authorization = `Bearer ${token.expose()}`;
    if (key) headers["idempotency-key"] = key;
    const response = await fetch(endpoint.replace(/\/$/, "") + path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(timeout),
    });
    if (response.ok || [404, 409].includes(response.status)) return response;
    throw failure(response);
  }
}

// What an answer that is no success means to the hub.
function failure({ status, headers }) {
  const message = `the other system answers ${status}`;
  if (status === 401 || status === 403) return PluginError.authDenied(message);
  if (status === 410) return PluginError.gone(message);
  if (status === 429) {
    const seconds = Number(headers.get("retry-after"));
    return PluginError.throttled(message, seconds ? { retryAfterMs: seconds * 1000 } : {});
  }
  return status >= 500 ? PluginError.transient(message) : PluginError.permanent(message);
}
//@if capture

// Things become work items.
export class Things extends Capture {
  static settings = object({ path: text("Where they are listed: /things") });

  async poll(position, limit) {
    const query = new URLSearchParams({ after: position?.toString() ?? "", limit });
    const response = await this.plugin.request(`${this.settings.path}?${query}`).catch((error) => {
      if (error.errorClass !== "gone") throw error;
      // The place is not known there any more: the hub begins anew.
      throw PluginError.cursorExpired(`cannot go on after \`${position}\``);
    });
    if (!response.ok) throw PluginError.permanent(`no list \`${this.settings.path}\``);
    const { things, next, more } = await response.json();
    // The hub stores the position with the records, and asks from there next time.
    return { records: things.map((thing) => record.json(thing)), positionAfter: next, more };
  }
}
//@end
//@if lookup

// What the other system knows of an item.
export class Owners extends Lookup {
  static settings = object({
    path: text("Where it is found: /owners, to which /KEY is added"),
    attribute: text("The attribute of the item that has the key, such as customer_id"),
  });

  async lookup(queries) {
    // An error is the answer to its own query only.
    return Promise.all(queries.map((query) => this.ask(query).catch(PluginError.of)));
  }

  async ask({ attributes }) {
    const key = attributes[this.settings.attribute];
    if (key === undefined) return undefined;
    const path = `${this.settings.path}/${encodeURIComponent(key)}`;
    const response = await this.plugin.request(path);
    return response.ok ? response.json() : undefined;
  }
}
//@end
//@if callback

// The other system hears what happened to its things.
export class Events extends Callback {
  static settings = object({ path: text("Where events are posted to: /events") });

  async deliver(deliveries) {
    return Promise.all(deliveries.map((delivery) => this.tell(delivery)));
  }

  async tell({ idempotencyKey: key, event, externalId, occurredAtMs }) {
    const body = { event, id: externalId, at: occurredAtMs };
    try {
      const { path } = this.settings;
      const { status } = await this.plugin.request(path, { method: "POST", key, body });
      if (status === 404) return refused(PluginError.permanent(`there is no \`${path}\``));
      return status === 409 ? alreadyDone : done;
    } catch (error) {
      // Trying again would be pointless where it is permanent: a person has to see to it.
      return error.errorClass === "permanent" ? refused(error) : retry(error);
    }
  }
}
//@end
