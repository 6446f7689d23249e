// What every live page needs: times in the reader's own zone, following the hub's events, and
// replacing parts of the page by what the server renders anew.

const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Shows times in the reader's zone, with the exact instant as the tooltip. */
export function localTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.textContent = when.format(at);
    time.title = time.dateTime;
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
    say(sign, "Live");
    run();
  };
  stream.onerror = () => say(sign, "Connection lost – trying again");
  for (const name of EVENTS) stream.addEventListener(name, run);
  return run;
}

function say(sign, text) {
  if (!sign) return;
  sign.hidden = false;
  sign.textContent = text;
}

const EVENTS = [
  "captured", "updated", "enriched", "classified", "error_held", "activation_awaited", "queued",
  "held", "resumed", "offered", "assigned", "declined", "rona", "revoked", "done",
  "confirmation_missed", "completed", "canceled", "rejected", "expired", "restarted",
  "sla_breached", "agent_put", "presence_changed",
];
