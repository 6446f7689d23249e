// The life of the process: greeting, serving, end.

import { Socket } from "node:net";
import { basename, dirname } from "node:path";
import { realpathSync } from "node:fs";

import { unmarkedSecrets } from "./config.js";
import { Clock } from "./context.js";
import { Decoder, KIND, encode } from "./frames.js";
import { FILE_NAME, PROTOCOL, isStale, manifest, write } from "./manifest.js";
import { Session } from "./session.js";

const COOKIE = "GANTRY_PLUGIN_COOKIE";
const FD = 3;

export function run(plugin, roles) {
  const program = realpathSync(process.argv[1]);
  const said = manifest(plugin, roles, program);
  const [argument, ...more] = process.argv.slice(2);
  if (argument === "--manifest" && more.length === 0) {
    warn(said);
    console.log(`wrote ${write(said, dirname(program))}`);
  } else if (process.env[COOKIE] === undefined) {
    introduce(said, program);
  } else {
    serve(plugin, roles, said, program);
  }
}

function introduce(said, program) {
  const folder = dirname(program);
  console.log(`${said.name} ${said.version}, a plug-in of the Gantry hub: ${said.description}`);
  console.log(`The hub starts it. Put the folder ${folder} into one of its plug-in folders.`);
  console.log(`  node ${basename(program)} --manifest   writes ${FILE_NAME}, which the hub reads`);
}

function warn(said) {
  const tables = { config: said.config };
  for (const role of ["capture", "lookup", "callback"]) {
    if (said[role]) tables[role] = said[role].settings;
  }
  for (const [table, schema] of Object.entries(tables)) {
    for (const key of unmarkedSecrets(schema)) {
      console.log(`warning: ${table}: \`${key}\` looks like a secret; make it a secret()`);
    }
  }
}

function serve(plugin, roles, said, program) {
  const hub = new Socket({ fd: FD, readable: true, writable: true });
  const send = (kind, parts) => hub.write(encode(kind, parts));
  // Ends when the reason is on its way.
  const goodbye = (reason, status) => {
    const end = () => process.exit(status);
    hub.write(encode(KIND.goodbye, { body: reason }), end);
  };
  // Without the hub there is nothing to do; the reason is its own.
  hub.on("error", () => process.exit());
  hub.on("end", () => process.exit());
  if (isStale(said, dirname(program))) {
    const command = `node ${basename(program)} --manifest`;
    goodbye(`${FILE_NAME} is not of this version: run \`${command}\``, 1);
    return;
  }
  const clock = new Clock();
  const session = new Session(plugin, roles, send, clock);
  const decoder = new Decoder();
  hub.on("data", (chunk) => {
    try {
      for (const frame of decoder.take(chunk)) take(frame, { session, clock, send, goodbye });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      hub.removeAllListeners("data");
      goodbye(error.message, 1);
    }
  });
  const { name, version, build } = said;
  const { pid } = process;
  const encodings = ["json"];
  const hello = { protocol: PROTOCOL, encodings, name, version, pid, sdk: build.sdk };
  send(KIND.hello, { body: JSON.stringify({ ...hello, manifest: said }) });
}

function take(frame, { session, clock, send, goodbye }) {
  const { kind, number, body } = frame;
  if (kind === KIND.op || kind === KIND.cancel || kind === KIND.credit) {
    session.take(frame);
  } else if (kind === KIND.ping) {
    clock.set(Number(body.readBigInt64LE(0)));
    send(KIND.pong, { number });
  } else if (kind === KIND.welcome) {
    const told = JSON.parse(body.toString());
    clock.set(told.now_ms);
    session.setLogLevel(told.log_level);
  } else if (kind === KIND.shutdown) {
    goodbye("", 0);
  } else if (kind === KIND.goodbye) {
    console.log(`the hub ended the connection: ${body.toString()}`);
    process.exitCode = 1;
  } else {
    throw new RangeError(`the hub sent a frame of kind ${kind}`);
  }
}
