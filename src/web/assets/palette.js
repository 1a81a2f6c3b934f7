// The command palette: pages, jobs and the latest runs by a few letters.
import { make } from "./dom.js";

const SHOWN_MAX = 12;

export function startPalette() {
  const input = make("input", { type: "text", role: "combobox", "aria-label": "Search jobs, runs and pages", "aria-expanded": "true", "aria-controls": "palette-list", "aria-autocomplete": "list", placeholder: "Go to a job, a run or a page", autocomplete: "off", spellcheck: "false" });
  const list = make("ul", { id: "palette-list", role: "listbox", "aria-label": "Results" });
  const foot = make("p", { class: "foot" }, "↑ ↓ to choose · Enter to open · Esc to close");
  const dialog = make("dialog", { class: "palette", "aria-label": "Command palette" }, input, list, foot);
  document.body.append(dialog);
  let items = [];
  let shown = [];
  let chosen = 0;

  async function load() {
    try {
      const answer = await fetch("/palette", { headers: { Accept: "application/json" } });
      if (answer.ok) items = await answer.json();
    } catch {
      foot.textContent = "The daemon does not answer.";
    }
    render();
  }

  function render() {
    shown = best(items, input.value);
    chosen = Math.min(chosen, Math.max(0, shown.length - 1));
    list.replaceChildren(...shown.map((item, index) => {
      const row = make("li", { role: "option", id: `palette-${index}`, "aria-selected": String(index === chosen) },
        make("span", { class: "kind" }, item.kind), make("span", {}, item.text),
        make("span", { class: "detail" }, item.detail),
        item.key && !input.value ? make("kbd", {}, `g ${item.key}`) : null);
      row.addEventListener("click", () => open(item));
      row.addEventListener("pointermove", () => choose(index));
      return row;
    }));
    if (shown.length === 0 && items.length > 0) list.append(make("li", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, "Nothing fits"));
    input.setAttribute("aria-activedescendant", shown.length ? `palette-${chosen}` : "");
  }

  function choose(index) {
    if (index === chosen || shown.length === 0) return;
    list.children[chosen]?.setAttribute("aria-selected", "false");
    chosen = (index + shown.length) % shown.length;
    list.children[chosen].setAttribute("aria-selected", "true");
    list.children[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", `palette-${chosen}`);
  }

  function open(item) {
    dialog.close();
    location.assign(item.href);
  }

  input.addEventListener("input", () => {
    chosen = 0;
    render();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter" && shown[chosen]) open(shown[chosen]);
    else return;
    event.preventDefault();
  });
  // A click beside the dialog lands on its backdrop, which is the dialog itself.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  function toggle() {
    if (dialog.open) return dialog.close();
    input.value = "";
    chosen = 0;
    dialog.showModal();
    render();
    load();
  }
  for (const button of document.querySelectorAll("[data-palette]")) button.addEventListener("click", toggle);
  return { toggle };
}

/** Items in which the letters appear in order, those with the letters together and early first. */
export function best(items, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return items.slice(0, SHOWN_MAX);
  const scored = items.map((item, index) => ({ item, index, score: score(`${item.text} ${item.detail}`.toLowerCase(), wanted) }));
  return scored.filter(({ score }) => score !== null).sort((a, b) => a.score - b.score || a.index - b.index).slice(0, SHOWN_MAX).map(({ item }) => item);
}

function score(text, wanted) {
  const together = text.indexOf(wanted);
  if (together >= 0) return together;
  let place = -1;
  let gaps = 0;
  for (const letter of wanted) {
    const next = text.indexOf(letter, place + 1);
    if (next < 0) return null;
    gaps += next - place - 1;
    place = next;
  }
  return 100 + gaps;
}
