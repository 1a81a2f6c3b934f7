// The log of a run: lines as they come, search, a filter by level, and following that stops when the reader scrolls up.
import { make } from "./dom.js";

const LEVELS = ["debug", "info", "warn", "error"];
const LINES_MAX = 5000;
// Nearer to the end than this is at the end.
const END_PX = 40;

const NOTHING = { add() {}, refreshed() {}, last: () => null };

export function startLog() {
  const box = document.getElementById("log-box");
  const list = document.getElementById("log-lines");
  const follow = document.getElementById("log-follow");
  if (!box || !list || !follow) return NOTHING;
  const search = document.getElementById("log-search");
  const level = document.getElementById("log-level");
  const jump = document.getElementById("log-jump");
  let last = Number(box.dataset.last);
  let waiting = [];

  function toEnd() {
    box.scrollTop = box.scrollHeight;
  }

  function setFollow(on) {
    follow.checked = on;
    jump.hidden = on;
    if (on) toEnd();
  }

  function judge(line) {
    line.classList.toggle("low", LEVELS.indexOf(line.dataset.level) < LEVELS.indexOf(level.value));
    const text = search.value.trim().toLowerCase();
    line.classList.toggle("miss", text !== "" && !line.textContent.toLowerCase().includes(text));
  }

  function judgeAll() {
    for (const line of list.children) judge(line);
    const found = list.querySelectorAll("li:not(.low):not(.miss)").length;
    document.getElementById("log-found").textContent = search.value.trim() ? `${found} found` : "";
    if (follow.checked) toEnd();
  }

  function flush() {
    const lines = waiting.map(render);
    waiting = [];
    lines.forEach(judge);
    list.append(...lines);
    while (list.children.length > LINES_MAX) list.firstElementChild.remove();
    document.getElementById("log-empty").hidden = true;
    if (follow.checked) toEnd();
  }

  search.addEventListener("input", judgeAll);
  level.addEventListener("change", judgeAll);
  follow.addEventListener("change", () => setFollow(follow.checked));
  jump.addEventListener("click", () => setFollow(true));
  box.addEventListener("wheel", (event) => event.deltaY < 0 && setFollow(false), { passive: true });
  box.addEventListener("keydown", (event) => ["ArrowUp", "PageUp", "Home"].includes(event.key) && setFollow(false));
  box.addEventListener("scroll", () => {
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < END_PX;
    if (isAtEnd && !follow.checked) setFollow(true);
  }, { passive: true });
  // Fingers scroll without a wheel.
  box.addEventListener("touchmove", () => {
    if (box.scrollHeight - box.scrollTop - box.clientHeight > END_PX) setFollow(false);
  }, { passive: true });
  judgeAll();
  toEnd();

  return {
    add(line) {
      // After a reconnection lines may come again.
      if (line.seq <= last) return;
      last = line.seq;
      if (waiting.push(line) === 1) requestAnimationFrame(flush);
    },
    refreshed() {
      if (follow.checked) toEnd();
    },
    last: () => last,
  };
}

function render(line) {
  const spans = line.spans.map(([classes, text]) => (classes ? make("span", { class: classes }, text) : text));
  const fields = line.fields ? make("span", { class: "log-fields" }, line.fields) : null;
  return make("li", { "data-seq": line.seq, "data-level": line.level },
    make("time", { title: line.at }, line.time),
    make("span", { class: "level", "data-level": line.level }, line.level),
    make("span", { class: "log-text" }, ...spans, fields));
}
