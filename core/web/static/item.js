// One work item: refreshes itself when something happens to it.

import { follow, freshPart, localTimes } from "/static/page.js";

localTimes();

const item = document.getElementById("item").dataset.item;
follow(`/api/v1/events?item=${encodeURIComponent(item)}`, async () => {
  const part = document.getElementById("item");
  const fresh = await freshPart("item");
  if (fresh) part.replaceChildren(...fresh.childNodes);
});
