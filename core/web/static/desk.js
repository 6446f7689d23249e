// An agent's desk: presence, offers with a countdown, accept, decline, mark done with its form,
// wrap-up, park, pull, choose, transfer.
//
// The controls of cards that are still there stay in the page as they are, so that what the agent
// has typed or chosen survives a refresh; everything around them is new.

import { follow, freshPart, localTimes } from "/static/page.js";

const desk = document.getElementById("desk");
const agent = desk.dataset.agent;
const title = document.title;
// How far the page's clock stands behind the hub's.
let skew = Date.parse(desk.dataset.now) - Date.now();
// Where the focus goes once the work has moved there.
let goal = null;

localTimes();
countDown();
setInterval(countDown, 500);
const refresh = follow("/api/v1/events", update);
// An agent's stream tells nothing of items that are nobody's: what there is to choose from is
// looked up now and then.
setInterval(() => desk.querySelector("[data-choosing]") && refresh(), 15_000);

async function update() {
  const fresh = await freshPart("desk");
  if (!fresh) return;
  skew = Date.parse(fresh.dataset.now) - Date.now();
  const focused = document.activeElement;
  const parts = new Set([...fresh.querySelectorAll("[data-part]")].map((part) => part.dataset.part));
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const old = desk.querySelector(`[data-part="${part.dataset.part}"]`);
    if (part.dataset.part === "presence" && old.contains(focused)) {
      pressed(old, part);
      continue;
    }
    // A workbin that was empty until now.
    if (!old) {
      desk.append(part);
      continue;
    }
    keepControls(old, part);
    old.replaceWith(part);
  }
  for (const part of desk.querySelectorAll("[data-part]")) {
    if (!parts.has(part.dataset.part)) part.remove();
  }
  countDown();
  const offers = desk.querySelectorAll(".offer").length;
  document.title = offers > 0 ? `(${offers}) ${title}` : title;
  settle(focused);
}

/** Puts the controls of cards that are still there into `fresh`, and announces new offers. */
function keepControls(old, fresh) {
  const news = fresh.dataset.part === "assigned" ? "New work" : "New offer";
  for (const card of fresh.querySelectorAll("[data-key]")) {
    const same = old.querySelector(`[data-key="${card.dataset.key}"] [data-controls]`);
    if (same) card.querySelector("[data-controls]").replaceWith(same);
    else if (card.matches(".offer") || arrived(card)) {
      announce(`${news}: ${card.querySelector("h3").textContent}`);
    }
  }
}

/** True for work that the hub accepted for the agent: the agent asked for no such card. */
function arrived(card) {
  return card.closest("[data-part=assigned]") !== null && !goal?.includes(card.dataset.item);
}

/** Leaves the focus where it was, or takes it to where the work has gone. */
function settle(focused) {
  if (focused.isConnected) focused.focus();
  else if (focused.id) document.getElementById(focused.id)?.focus();
  else if (focused.href) desk.querySelector(`a[href="${CSS.escape(focused.pathname)}"]`)?.focus();
  const there = goal && desk.querySelector(goal);
  if (!there) return;
  goal = null;
  if (document.activeElement === document.body) there.focus();
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
  for (const part of desk.querySelectorAll("[data-until]")) {
    const until = Date.parse(part.dataset.until);
    const left = Math.max(0, until - now);
    const secs = Math.ceil(left / 1000);
    const time = secs < 100 ? `${secs} s` : `${Math.ceil(secs / 60)} min`;
    const text = secs > 0 ? `${time} left to answer` : "The time to answer is over";
    const line = part.querySelector("p");
    if (line.textContent !== text) line.textContent = text;
    part.classList.toggle("short", secs <= 10);
    part.querySelector("progress").value = left / (until - Date.parse(part.dataset.since)) || 0;
  }
}

desk.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  // Not `disabled`: that would take the focus away.
  if (!button || button.ariaBusy === "true") return;
  const { presence, action } = button.dataset;
  if (presence) await send(button, "PUT", `agents/${encodeURIComponent(agent)}/presence`, wish(presence));
  if (action) await act(button, action);
});

// Enter in the reason declines, as in a form.
desk.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("input[name=reason]")) return;
  event.target.closest("[data-controls]").querySelector("[data-action=decline]").click();
});

function wish(state) {
  const reason = document.getElementById("reason").value;
  return state === "not_ready" ? { state, reason } : { state };
}

async function act(button, action) {
  const card = button.closest("[data-key]");
  const { item, epoch } = card.dataset;
  if (action === "accept") {
    goal = `[data-part=assigned] [data-item="${item}"]`;
    await send(button, "POST", `offers/${item}/${epoch}/accept`, {});
  }
  if (action === "decline") {
    const reason = card.querySelector("[name=reason]");
    reason.required = true;
    if (!reason.reportValidity()) return;
    goal = "#offers";
    await send(button, "POST", `offers/${item}/${epoch}/decline`, { reason: reason.value });
  }
  if (action === "done") {
    const choice = card.querySelector("[name=disposition]");
    const fields = [...card.querySelectorAll("[data-field]")];
    if (![...fields, choice].every((field) => !field || field.reportValidity())) return;
    goal = "#assigned";
    const body = { attributes: changed(fields) };
    if (choice?.value) body.disposition = choice.value;
    await send(button, "POST", `assignments/${item}/${epoch}/done`, body);
  }
  if (action === "finish") {
    const choice = card.querySelector("[name=disposition]");
    if (choice && !choice.reportValidity()) return;
    goal = "#assigned";
    const body = choice?.value ? { disposition: choice.value } : {};
    await send(button, "POST", `assignments/${item}/${epoch}/wrap-up`, body);
  }
  if (action === "park") {
    goal = "#assigned";
    await send(button, "POST", `items/${item}/park`, { epoch: Number(epoch) });
  }
  if (action === "pull") {
    goal = `[data-part=assigned] [data-item="${item}"]`;
    await send(button, "POST", `items/${item}/pull`, {});
  }
  if (action === "transfer") {
    const target = card.querySelector("[name=to]");
    if (!target.reportValidity()) return;
    goal = "#assigned";
    const to = { [card.querySelector("[name=kind]").value]: target.value };
    const note = card.querySelector("[name=note]").value || null;
    await send(button, "POST", `items/${item}/transfer`, { to, note, epoch: Number(epoch) });
  }
}

/** What the agent has changed in the fields of a form; what was emptied is null. */
function changed(fields) {
  const was = (field) => field.defaultValue ?? [...field.options].find((option) => option.defaultSelected)?.value ?? "";
  const values = { number: Number, boolean: (text) => text === "true", string: String };
  const differ = fields.filter((field) => field.value !== was(field));
  return Object.fromEntries(
    differ.map((field) => [field.name, field.value ? values[field.dataset.field](field.value) : null]));
}

/** Sends one request to the API and shows what it refused. */
async function send(button, method, path, body) {
  let refused = "";
  button.ariaBusy = "true";
  try {
    const answer = await fetch(`/api/v1/${path}`, {
      method,
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const problem = answer.ok ? null : await answer.json();
    if (problem) refused = `${problem.title}: ${problem.detail} (${problem.code})`;
  } catch {
    refused = "The hub cannot be reached. Try again: what was sent already is not done twice.";
  }
  button.ariaBusy = null;
  const said = document.getElementById("said");
  said.textContent = refused;
  said.hidden = !refused;
  if (refused) {
    goal = null;
    said.scrollIntoView({ block: "nearest" });
  }
  refresh();
}
