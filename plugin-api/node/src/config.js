// The operator's configuration: JSON Schema from a few builders, and values out of JSON by it.

import { inspect } from "node:util";

import { PluginError } from "./errors.js";

const SECRET = "x-gantry-secret";
const TYPE = "x-gantry-type";
const REDACTED = "***";
const OPTIONAL = Symbol("optional");

// A value that must never be seen: it prints as `***` wherever it is formatted.
export class Secret {
  #value;

  constructor(value) {
    this.#value = value;
  }

  expose() {
    return this.#value;
  }

  toString() {
    return REDACTED;
  }

  toJSON() {
    return REDACTED;
  }

  [inspect.custom]() {
    return REDACTED;
  }
}

const of = (type) => (description, more) =>
  ({ type, ...(description && { description }), ...more });

export const text = of("string");
export const integer = of("integer");
export const number = of("number");
export const boolean = of("boolean");
export const secret = (description) => text(description, { [SECRET]: true, writeOnly: true });
export const duration = (description) =>
  text(description, { pattern: "^([0-9]+(ms|d|h|m|s))+$", [TYPE]: "duration" });
export const choice = (values, description) => text(description, { enum: values });
export const list = (items, description) => of("array")(description, { items });
export const map = (values, description) =>
  of("object")(description, { additionalProperties: values });

export function optional(schema, absent) {
  const made = { ...schema, ...(absent !== undefined && { default: absent }) };
  // No enumerable key: it is not part of the schema that the hub reads.
  return Object.defineProperty(made, OPTIONAL, { value: true });
}

export function object(properties, description) {
  const required = Object.keys(properties).filter((key) => !properties[key][OPTIONAL]);
  return of("object")(description, {
    properties,
    additionalProperties: false,
    ...(required.length > 0 && { required }),
  });
}

// The value that JSON stands for; a mistake is a `PluginError` of class `config` with its place.
export function read(schema, value, path = "") {
  const found = check(schema, value, path);
  if (schema[SECRET]) return new Secret(found);
  if (schema[TYPE] === "duration") return readDuration(found, path);
  if (Array.isArray(found)) {
    return found.map((part, at) => read(schema.items ?? {}, part, `${path}[${at}]`));
  }
  return schema.type === "object" ? readObject(schema, found, path) : found;
}

function check(schema, value, path) {
  const is = {
    string: (part) => typeof part === "string",
    integer: Number.isInteger,
    number: (part) => typeof part === "number",
    boolean: (part) => typeof part === "boolean",
    array: Array.isArray,
    object: (part) => typeof part === "object" && part !== null && !Array.isArray(part),
  }[schema.type];
  if (is && !is(value)) throw PluginError.config(path, `is not of type ${schema.type}`);
  if (schema.enum && !schema.enum.includes(value)) {
    const names = schema.enum.map((name) => `\`${name}\``).join(", ");
    throw PluginError.config(path, `is one of ${names}`);
  }
  return value;
}

function readObject(schema, value, path) {
  const { properties = {}, required = [], additionalProperties = {} } = schema;
  const at = (key) => (path ? `${path}.${key}` : key);
  const found = {};
  for (const [key, part] of Object.entries(value)) {
    const known = Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
    if (known === false) throw PluginError.config(at(key), "is not known");
    found[key] = read(known, part, at(key));
  }
  for (const key of required) {
    if (!Object.hasOwn(found, key)) throw PluginError.config(at(key), "is missing");
  }
  for (const [key, known] of Object.entries(properties)) {
    if (!Object.hasOwn(found, key) && known.default !== undefined) {
      found[key] = read(known, known.default, at(key));
    }
  }
  return found;
}

const UNITS_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

// A span of time as people write it (`1h30m`), in milliseconds.
export function readDuration(text, path = "") {
  if (!/^([0-9]+(ms|d|h|m|s))+$/.test(text)) {
    throw PluginError.config(path, `\`${text}\` is no duration: write \`30s\` or \`1h30m\``);
  }
  const parts = text.matchAll(/([0-9]+)(ms|d|h|m|s)/g);
  return [...parts].reduce((sum, [, n, unit]) => sum + Number(n) * UNITS_MS[unit], 0);
}

// Keys whose name says secret and whose type does not: one forgotten type, and it is printed.
export function unmarkedSecrets({ properties = {} }) {
  const keys = Object.keys(properties).filter((key) => !properties[key][SECRET]);
  return keys.filter((key) => /(password|secret|token|api_key)$/.test(key));
}
