// All that the author of a Gantry plug-in in JavaScript imports; what it means stands in
// `index.d.ts`.

export {
  Secret,
  boolean,
  choice,
  duration,
  integer,
  list,
  map,
  number,
  object,
  optional,
  secret,
  text,
} from "./config.js";
export { Context, Emitter } from "./context.js";
export { PluginError } from "./errors.js";
export { alreadyDone, done, record, refuse, refused, retry } from "./messages.js";
export { Callback, Capture, Lookup, Plugin } from "./plugin.js";
export { run } from "./runtime.js";
