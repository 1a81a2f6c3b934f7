// Keyboard shortcuts, and the dialog that lists them.
import { make } from "./dom.js";

const PLACES = { o: "/", j: "/jobs", r: "/runs", s: "/schedule", c: "/containers", a: "/docs", t: "/settings" };
const HELP = [
  ["Ctrl K", "Search jobs, runs and pages"],
  ["/", "Search on this page"],
  ["g o", "Overview"], ["g j", "Jobs"], ["g r", "Runs"], ["g s", "Schedule"], ["g c", "Containers"], ["g a", "API"], ["g t", "Settings"],
  ["?", "This list"],
  ["Esc", "Close"],
];
const CHORD_MS = 1200;

export function startKeys(palette) {
  const close = make("button", { type: "button", autofocus: true }, "Close");
  const rows = HELP.flatMap(([keys, text]) => [make("dt", {}, make("kbd", {}, keys)), make("dd", {}, text)]);
  const help = make("dialog", { "aria-labelledby": "keys-title" },
    make("div", { class: "dialog-body" }, make("h2", { id: "keys-title" }, "Keyboard shortcuts"), make("dl", { class: "keys" }, ...rows), make("div", {}, close)));
  document.body.append(help);
  close.addEventListener("click", () => help.close());
  help.addEventListener("click", (event) => event.target === help && help.close());
  let pressedG = 0;

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      palette.toggle();
      return;
    }
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (Date.now() - pressedG < CHORD_MS && PLACES[event.key]) {
      location.assign(PLACES[event.key]);
    } else if (event.key === "g") {
      pressedG = Date.now();
      return;
    } else if (event.key === "?") {
      help.showModal();
    } else if (event.key === "/") {
      const field = document.querySelector("main input[type=search], main .filters input");
      if (!field) return;
      event.preventDefault();
      field.focus();
    }
    pressedG = 0;
  });
}
