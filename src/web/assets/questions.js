// Asks before what cannot be taken back. Without this, the link leads to a page that asks.
import { make, meta } from "./dom.js";

export function startQuestions() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-confirm]");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    ask(link.dataset.confirm, link.dataset.verb, link.dataset.action);
  });
  // A second click on a form that is on its way would send it twice.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
}

function ask(question, verb, action) {
  const cancel = make("button", { type: "button", class: "quiet", autofocus: true }, "Cancel");
  const form = make("form", { method: "post", action, class: "form-foot" },
    make("input", { type: "hidden", name: "csrf", value: meta("csrf") ?? "" }),
    make("button", { type: "submit", class: "danger" }, verb), cancel);
  const dialog = make("dialog", { role: "alertdialog", "aria-labelledby": "question" },
    make("div", { class: "dialog-body" }, make("h2", { id: "question" }, question), form));
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
