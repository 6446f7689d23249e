// The classes an author derives from: `Plugin` always, and one for each role the plug-in has. What
// their methods mean stands in `index.d.ts`.

import { object } from "./config.js";
import { PluginError } from "./errors.js";

export class Plugin {
  static config = object({});

  constructor(config, cx) {
    this.config = config;
    this.cx = cx;
  }

  static validate() {
    return [];
  }

  async check() {}

  async suggest() {
    return [];
  }

  async drain() {}

  async stop() {}
}

class Role {
  static settings = object({});

  constructor(plugin, settings, cx) {
    this.plugin = plugin;
    this.settings = settings;
    this.cx = cx;
  }

  static validateSettings() {
    return [];
  }

  async checkSettings() {}
}

export class Capture extends Role {
  async poll() {
    throw PluginError.unsupported("poll");
  }

  async stream() {
    throw PluginError.unsupported("stream");
  }

  async http() {
    throw PluginError.unsupported("http");
  }

  async acknowledge() {}

  async extend() {
    throw PluginError.unsupported("extend");
  }
}

export class Lookup extends Role {
  async lookup() {
    throw PluginError.unsupported("lookup");
  }
}

export class Callback extends Role {
  async deliver() {
    throw PluginError.unsupported("deliver");
  }
}
