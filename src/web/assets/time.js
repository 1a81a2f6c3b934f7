// Relative times go on counting; the words are those of the server (page/ui.rs).

export function relative(then, now) {
  const seconds = Math.floor(Math.abs(then - now) / 1000);
  if (seconds === 0) return "now";
  const units = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const [size, unit] = units.find(([size]) => seconds >= size);
  const text = `${Math.floor(seconds / size)}${unit}`;
  return then > now ? `in ${text}` : `${text} ago`;
}

// The browser's clock may be wrong: what counts is how far it is from the daemon's.
let skew = 0;

/** Learns the difference of the clocks from an answer. */
export function learnClock(date) {
  const daemon = Date.parse(date ?? "");
  if (Number.isFinite(daemon) && Math.abs(daemon - Date.now()) > 2000) skew = daemon - Date.now();
}

export function updateTimes(root = document) {
  const now = Date.now() + skew;
  for (const element of root.querySelectorAll("time[data-rel]")) {
    const text = relative(Date.parse(element.dateTime), now);
    if (element.textContent !== text) element.textContent = text;
  }
}

export function startTimes() {
  updateTimes();
  setInterval(updateTimes, 1000);
}
