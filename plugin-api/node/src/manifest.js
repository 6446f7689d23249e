// The manifest: what a plug-in says about itself. The hub reads it from `gantry-plugin.json` beside
// the program, without running the program.

import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { Capture } from "./plugin.js";

export const FILE_NAME = "gantry-plugin.json";
export const PROTOCOL = [1, 1];
export const VERSION = "0.1.0";

const ROLES = ["capture", "lookup", "callback"];

// The manifest as JSON. Throws a `TypeError` with what the author has to mend.
export function manifest(plugin, roles, program) {
  const { name, version, description = "", permissions = {}, rotates } = plugin.about ?? {};
  if (!/^[a-z0-9_]+$/.test(name ?? "")) {
    throw new TypeError(`${plugin.name}.about.name: use small letters, digits and \`_\``);
  }
  if (typeof version !== "string") {
    throw new TypeError(`${plugin.name}.about.version: give one, such as "0.1.0"`);
  }
  const said = {
    name,
    version,
    description,
    command: ["node", basename(program)],
    config: plugin.config,
  };
  for (const role of ROLES) {
    if (!roles[role]) continue;
    const { settings } = roles[role];
    said[role] = role === "capture" ? { ...written(roles[role]), settings } : { settings };
  }
  const sdk = `gantry-plugin ${VERSION} (Node.js ${process.versions.node})`;
  return { ...said, ...(rotates && { rotates }), permissions, build: { plugin_api: VERSION, sdk } };
}

// What the author wrote of capture: the modes, and whether leases are extended.
function written(capture) {
  const has = (method) => capture.prototype[method] !== Capture.prototype[method];
  const modes = ["poll", "stream", "http"].filter(has);
  if (modes.length === 0) {
    throw new TypeError(`${capture.name}: write \`poll\`, \`stream\` or \`http\``);
  }
  return has("extend") ? { modes, leases: true } : { modes };
}

export function write(said, folder) {
  const path = join(folder, FILE_NAME);
  writeFileSync(path, `${JSON.stringify(said, null, 2)}\n`);
  return path;
}

// Whether the file says something else than the program; what it was made with aside.
export function isStale(said, folder) {
  let text;
  try {
    text = readFileSync(join(folder, FILE_NAME), "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return false;
    throw error;
  }
  const bare = (all) => ({ ...all, build: undefined });
  return !isDeepStrictEqual(bare(JSON.parse(text)), bare(JSON.parse(JSON.stringify(said))));
}
