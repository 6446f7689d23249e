// The list of work items: refreshes itself when something happens in the hub.

import { follow, freshPart, localTimes } from "/static/page.js";

localTimes();

const address = location.search.includes("after=") ? null : "/api/v1/events";
if (address) {
  follow(address, async () => {
    const list = document.getElementById("list");
    // A reader in the middle of a row keeps it.
    const focused = list.contains(document.activeElement) ? document.activeElement.href : null;
    const fresh = await freshPart("list");
    // What is as it was stays in place: whoever is about to click keeps what they aim at.
    if (!fresh || fresh.innerHTML === list.innerHTML) return;
    list.replaceChildren(...fresh.childNodes);
    if (focused) list.querySelector(`a[href="${CSS.escape(new URL(focused).pathname)}"]`)?.focus();
  }, 1000);
}

document.getElementById("status").addEventListener("change", (event) => event.target.form.requestSubmit());
