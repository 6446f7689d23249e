// An agent's desk: presence, offers with a countdown, accept, decline, mark done.
//
// Cards that are still the same stay in the page as they are, so that what the agent has typed or
// chosen survives a refresh.

import { follow, freshPart, localTimes } from "/static/page.js";

const desk = document.getElementById("desk");
const agent = desk.dataset.agent;
// How far the page's clock stands behind the hub's.
let skew = Date.parse(desk.dataset.now) - Date.now();

localTimes();
countDown();
setInterval(countDown, 500);
const refresh = follow("/api/v1/events", update);

async function update() {
  const fresh = await freshPart("desk");
  if (!fresh) return;
  skew = Date.parse(fresh.dataset.now) - Date.now();
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const old = desk.querySelector(`[data-part="${part.dataset.part}"]`);
    if (part.dataset.part === "presence" && old.contains(document.activeElement)) {
      pressed(old, part);
      continue;
    }
    keepCards(old, part);
    old.replaceWith(part);
  }
  countDown();
}

/** Puts the cards of `old` that are still there into `fresh`, and announces new offers. */
function keepCards(old, fresh) {
  const focused = document.activeElement;
  for (const card of fresh.querySelectorAll("[data-key]")) {
    const same = old.querySelector(`[data-key="${card.dataset.key}"]`);
    if (same) card.replaceWith(same);
    else if (card.matches(".offer")) announce(`New offer: ${card.querySelector("h3").textContent}`);
  }
  if (old.contains(focused) || fresh.contains(focused)) queueMicrotask(() => focused.focus());
}

/** Shows the new presence without replacing the buttons under the agent's fingers. */
function pressed(old, fresh) {
  for (const button of fresh.querySelectorAll("[data-presence]")) {
    old.querySelector(`[data-presence="${button.dataset.presence}"]`).ariaPressed = button.ariaPressed;
  }
  old.querySelector(".alert")?.remove();
  const alert = fresh.querySelector(".alert");
  if (alert) old.append(alert);
}

function announce(text) {
  document.getElementById("news").textContent = text;
}

function countDown() {
  const now = Date.now() + skew;
  for (const line of desk.querySelectorAll("[data-until]")) {
    const left = Math.max(0, Math.ceil((Date.parse(line.dataset.until) - now) / 1000));
    const text = left > 0 ? `${left} s left to answer` : "The time to answer is over";
    if (line.textContent !== text) line.textContent = text;
  }
}

desk.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { presence, action } = button.dataset;
  if (presence) await send(button, "PUT", `agents/${encodeURIComponent(agent)}/presence`, wish(presence));
  if (action) await act(button, action);
});

function wish(state) {
  const reason = document.getElementById("reason").value;
  return state === "not_ready" ? { state, reason } : { state };
}

async function act(button, action) {
  const card = button.closest("[data-key]");
  const { item, epoch } = card.dataset;
  if (action === "accept") await send(button, "POST", `offers/${item}/${epoch}/accept`, {});
  if (action === "decline") {
    const reason = card.querySelector("[name=reason]");
    reason.required = true;
    if (!reason.reportValidity()) return;
    await send(button, "POST", `offers/${item}/${epoch}/decline`, { reason: reason.value });
  }
  if (action === "done") {
    const choice = card.querySelector("[name=disposition]");
    if (choice && !choice.reportValidity()) return;
    const body = choice?.value ? { disposition: choice.value } : {};
    await send(button, "POST", `assignments/${item}/${epoch}/done`, body);
  }
}

/** Sends one request to the API and shows what it refused. */
async function send(button, method, path, body) {
  const said = document.getElementById("said");
  button.disabled = true;
  try {
    const answer = await fetch(`/api/v1/${path}`, {
      method,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const problem = answer.ok ? null : await answer.json();
    said.textContent = problem ? `${problem.title}: ${problem.detail} (${problem.code})` : "";
    said.hidden = !problem;
  } catch {
    said.textContent = "The hub cannot be reached. Nothing was sent; try again.";
    said.hidden = false;
  }
  button.disabled = false;
  refresh();
}
