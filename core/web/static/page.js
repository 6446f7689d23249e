// What every live page needs: times in the reader's own zone, following the hub's events, and
// replacing parts of the page by what the server renders anew.

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const seconds = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const near = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

const INSTANT = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;
const DAY_MS = 86_400_000;

/** Shows times in the reader's zone and words, with the exact time as the tooltip. */
export function localTimes(root = document) {
  for (const part of root.querySelectorAll("[data-instants]")) markInstants(part);
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const parts = "seconds" in time.dataset ? seconds : clock;
    time.textContent = `${dayOf(at)}, ${parts.format(at)}`;
    time.title = exact.format(at);
  }
}

/** "today", "tomorrow", or the date; with the year only where it is not clear. */
function dayOf(at) {
  const now = new Date();
  const days = Math.round((new Date(at).setHours(0, 0, 0, 0) - now.setHours(0, 0, 0, 0)) / DAY_MS);
  if (Math.abs(days) <= 1) return near.format(days, "day");
  return Math.abs(days) < 180 ? day.format(at) : date.format(at);
}

/** Turns instants in running text into `time` elements. */
function markInstants(part) {
  const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) if (!texts.currentNode.parentElement.closest("time")) found.push(texts.currentNode);
  for (const text of found) {
    const instants = [...text.data.matchAll(INSTANT)].reverse();
    for (const { 0: instant, index } of instants) {
      const time = document.createElement("time");
      time.dateTime = instant;
      text.splitText(index).splitText(instant.length);
      text.nextSibling.replaceWith(time);
    }
  }
}

/** Fetches this page again and returns the part of it with that id, or nothing. */
export async function freshPart(id) {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (answer.status === 401) location.assign("/");
  if (!answer.ok) return null;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const part = page.getElementById(id);
  if (part) localTimes(part);
  return part;
}

/**
 * Calls `refresh` when the stream opens (whatever happened before is then on the page) and after
 * events, at most once every `pause` milliseconds and never twice at a time.
 */
export function follow(address, refresh, pause = 250) {
  const sign = document.getElementById("live");
  let wanted = false;
  let busy = false;
  const run = async () => {
    wanted = true;
    if (busy) return;
    busy = true;
    while (wanted) {
      wanted = false;
      try {
        await refresh();
      } catch (error) {
        console.error(error);
      }
      await new Promise((done) => setTimeout(done, pause));
    }
    busy = false;
  };
  const stream = new EventSource(address);
  stream.onopen = () => {
    say(sign, "Live", true);
    run();
  };
  stream.onerror = () => say(sign, "Connection lost – trying again", false);
  for (const name of EVENTS) stream.addEventListener(name, run);
  return run;
}

function say(sign, text, open) {
  if (!sign) return;
  sign.hidden = false;
  sign.classList.toggle("open", open);
  sign.textContent = text;
}

const EVENTS = [
  "captured", "updated", "enriched", "classified", "error_held", "activation_awaited", "queued",
  "held", "resumed", "offered", "assigned", "declined", "rona", "revoked", "done",
  "confirmation_missed", "completed", "canceled", "rejected", "expired", "restarted",
  "sla_breached", "sla_warned", "agent_put", "presence_changed", "load_reported", "wrap_up_ended",
  "confirmed", "transferred", "parked", "pulled", "returned", "retrieved", "boosted", "escalated",
  "rescheduled", "postponed", "alert_raised", "alert_cleared",
  "capture_operated",
];
