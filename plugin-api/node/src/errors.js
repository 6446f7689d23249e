// The errors a plug-in answers with. The class decides what the hub does; the text is for people.
// A plug-in never sleeps, loops or retries on its own: it says what happened, and the hub acts.

const CLASSES = [
  "auth_expired",
  "auth_denied",
  "throttled",
  "transient",
  "conflict",
  "gone",
  "cursor_expired",
  "permanent",
  "config",
  "panic",
  "canceled",
  "unsupported",
  "protocol",
];

const CAUSES_MAX = 16;

export class PluginError extends Error {
  constructor(errorClass, message, { cause, retryAfterMs, field } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "PluginError";
    this.errorClass = errorClass;
    this.retryAfterMs = retryAfterMs;
    this.field = field;
  }

  static authExpired(message, options) {
    return new PluginError("auth_expired", message, options);
  }

  static authDenied(message, options) {
    return new PluginError("auth_denied", message, options);
  }

  static throttled(message, options) {
    return new PluginError("throttled", message, options);
  }

  static transient(message, options) {
    return new PluginError("transient", message, options);
  }

  static conflict(message, options) {
    return new PluginError("conflict", message, options);
  }

  static gone(message, options) {
    return new PluginError("gone", message, options);
  }

  static cursorExpired(message, options) {
    return new PluginError("cursor_expired", message, options);
  }

  static permanent(message, options) {
    return new PluginError("permanent", message, options);
  }

  static config(field, message, options) {
    return new PluginError("config", message, { ...options, field });
  }

  static unsupported(operation) {
    return new PluginError("unsupported", `plug-in does not offer \`${operation}\``);
  }

  static of(error) {
    if (error instanceof PluginError) return error;
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const errorClass = isTrouble(error) ? "transient" : "panic";
    return new PluginError(errorClass, text, { cause: error?.cause });
  }

  get code() {
    return CLASSES.indexOf(this.errorClass) + 1;
  }

  toJSON() {
    const told = { class: this.errorClass, message: this.message };
    if (this.retryAfterMs !== undefined) {
      told.retry_after_ms = Math.max(0, Math.trunc(this.retryAfterMs));
    }
    if (this.field !== undefined) told.field = this.field;
    const causes = [];
    for (let { cause } = this; cause && causes.length < CAUSES_MAX; { cause } = cause) {
      causes.push(cause.message || String(cause));
    }
    if (causes.length > 0) told.causes = causes;
    return told;
  }
}

// Of the system or the network, or a time-out: no bug. `fetch` hides it as a cause.
function isTrouble(error) {
  const is = (part) => typeof part?.syscall === "string" || part?.name === "TimeoutError";
  return is(error) || is(error?.cause) || String(error?.cause?.code).startsWith("UND_ERR");
}
