// The sources: looks again every two seconds, and shows how much each count rose a second.

import { freshPart, localTimes } from "/static/page.js";

const EVERY_MS = 2000;

localTimes();

const counts = (root) => new Map(
  [...root.querySelectorAll("[data-count]")].map((cell) => [cell.dataset.key, Number(cell.dataset.count)]),
);

let before = counts(document);
let at = performance.now();

async function look() {
  const fresh = await freshPart("sources").catch(() => null);
  if (!fresh) return;
  const now = performance.now();
  const seconds = (now - at) / 1000;
  for (const cell of fresh.querySelectorAll("[data-count]")) {
    if (!before.has(cell.dataset.key)) continue;
    // A count that fell began anew with the hub.
    const rate = Math.max(0, Number(cell.dataset.count) - before.get(cell.dataset.key)) / seconds;
    cell.textContent = cell.dataset.rate === "percent" ? `${(rate * 100).toFixed(1)} %` : rate.toFixed(1);
  }
  before = counts(fresh);
  at = now;
  document.getElementById("sources").replaceChildren(...fresh.childNodes);
}

async function keepLooking() {
  if (!document.hidden) await look();
  setTimeout(keepLooking, EVERY_MS);
}

setTimeout(keepLooking, EVERY_MS);
