// What the type checker accepts and what not: `tsc --noEmit --strict --module nodenext types.ts`.

import {
  type Answer,
  type Batch,
  Callback,
  Capture,
  type Delivery,
  type DeliveryOutcome,
  type Emitter,
  type HttpCapture,
  type HttpRequest,
  type Infer,
  Lookup,
  Plugin,
  PluginError,
  type Query,
  choice,
  done,
  duration,
  object,
  optional,
  record,
  refuse,
  refused,
  run,
  secret,
  text,
} from "gantry-plugin";

const config = object({
  endpoint: text("Where the shop answers"),
  key: secret(),
  every: optional(duration(), "5s"),
  level: choice(["low", "high"]),
  maybe: optional(text()),
});

class Shop extends Plugin<Infer<typeof config>> {
  static about = { name: "shop", version: "0.1.0" };
  static config = config;

  async check(): Promise<void> {
    const level: "low" | "high" = this.config.level;
    const key: string = this.config.key.expose();
    const every: number = this.config.every;
    // @ts-expect-error it may be absent
    const maybe: string = this.config.maybe;
    this.cx.log.debug("checked", { level, every, maybe, n: key.length });
  }
}

class Orders extends Capture<Shop> {
  async poll(position: Buffer | undefined, limit: number): Promise<Batch> {
    const order = { from: position?.toString(), every: this.plugin.config.every };
    return { records: [record.json(order, { messageId: "1" })], more: limit > 1 };
  }

  async stream(_: Buffer | undefined, out: Emitter): Promise<void> {
    await out.emit({ positionAfter: "1" });
  }

  async http(request: HttpRequest): Promise<HttpCapture> {
    return request.header("x-key") ? { records: [record(request.body)] } : refuse(401, "no key");
  }
}

class Customers extends Lookup<Shop> {
  async lookup(queries: Query[]): Promise<Answer[]> {
    return queries.map(({ attributes }) => attributes);
  }
}

class Told extends Callback<Shop> {
  async deliver(deliveries: Delivery[]): Promise<DeliveryOutcome[]> {
    const gone = PluginError.gone("no such order");
    return deliveries.map(({ attempt }) => (attempt > 1 ? refused(gone) : done));
  }
}

run(Shop, { capture: Orders, lookup: Customers, callback: Told });
// @ts-expect-error a role in the place of another
run(Shop, { capture: Customers });
