// What the hub starts: the roles of the plug-in.

import { run } from "gantry-plugin";

import * as other from "./other.js";

run(other.@Name@, {
  //@if capture
  capture: other.Things,
  //@end
  //@if lookup
  lookup: other.Owners,
  //@end
  //@if callback
  callback: other.Events,
  //@end
});
