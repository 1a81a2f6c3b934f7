// The job list narrows while one types; Enter asks the server, which also looks at tags.
import { announce } from "./dom.js";

export function startFilter() {
  const field = document.querySelector("input[data-filter]");
  if (!field) return;
  const apply = () => {
    const wanted = field.value.trim().toLowerCase();
    const rows = document.querySelectorAll("main tbody tr");
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.querySelector("th").textContent.toLowerCase().includes(wanted);
      if (!row.hidden) shown += 1;
    }
    for (const card of document.querySelectorAll("main .card:has(tbody)")) card.hidden = !card.querySelector("tbody tr:not([hidden])");
    return shown;
  };
  field.addEventListener("input", () => announce(`${apply()} jobs`));
  document.addEventListener("refreshed", apply);
}
