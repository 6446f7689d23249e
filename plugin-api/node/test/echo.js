// A plug-in that gives back what it gets; for `bench.js`.

import { Capture, Lookup, Plugin, record, run } from "../src/index.js";
import { PAYLOAD } from "./payload.js";

class Echo extends Plugin {
  static about = { name: "echo", version: "0.1.0", description: "Gives back what it gets" };
}

class Records extends Capture {
  async poll(position, limit) {
    const at = (_, n) => record.json(PAYLOAD, { messageId: `${n}`, position: `${n}` });
    return { records: Array.from({ length: limit }, at) };
  }
}

class Answers extends Lookup {
  async lookup(queries) {
    return queries.map(({ attributes }) => attributes);
  }
}

run(Echo, { capture: Records, lookup: Answers });
