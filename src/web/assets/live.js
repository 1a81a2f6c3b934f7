// The page's one live connection. When something changed, the page is asked for again and made like the answer:
// the server's rendering is the only one there is.
import { meta } from "./dom.js";
import { morph } from "./morph.js";
import { learnClock, updateTimes } from "./time.js";

const LEAST_PAUSE_MS = 1000;

export function startLive(log) {
  if (!meta("live")) return;
  let source = null;
  let isFetching = false;
  let isStale = false;
  let lastFetch = 0;

  function show(state, text) {
    const badge = document.getElementById("connection");
    if (!badge) return;
    badge.hidden = false;
    badge.dataset.state = state;
    badge.querySelector(".connection-text").textContent = text;
  }

  function refresh() {
    if (isFetching) {
      isStale = true;
      return;
    }
    isFetching = true;
    isStale = false;
    setTimeout(fetchPage, Math.max(0, lastFetch + LEAST_PAUSE_MS - Date.now()));
  }

  function fetchPage() {
    lastFetch = Date.now();
    const request = new XMLHttpRequest();
    // Parsed by the browser as an inert document: no text becomes markup here.
    request.responseType = "document";
    request.open("GET", location.href);
    request.setRequestHeader("Accept", "text/html");
    request.onloadend = () => {
      isFetching = false;
      learnClock(request.getResponseHeader("Date"));
      apply(request);
      if (isStale) refresh();
    };
    request.send();
  }

  function apply(request) {
    const fresh = request.response?.getElementById("main");
    // Another address: the session has ended, and the answer is the login page.
    if (request.status !== 200 || !fresh?.querySelector(".page-head")) {
      if (request.responseURL && new URL(request.responseURL).pathname === "/login") location.reload();
      return;
    }
    morph(document.getElementById("main"), fresh);
    const nav = request.response.getElementById("nav");
    if (nav) morph(document.getElementById("nav"), nav);
    // A new connection asks for what is newer than this answer.
    const live = request.response.querySelector('meta[name="live"]');
    if (live) document.querySelector('meta[name="live"]').content = live.content;
    log.refreshed();
    document.dispatchEvent(new CustomEvent("refreshed"));
    updateTimes();
  }

  function connect() {
    const url = new URL(meta("live"), location.href);
    if (log.last() !== null) url.searchParams.set("after", log.last());
    source = new EventSource(url);
    source.addEventListener("hello", () => show("on", "Live"));
    source.addEventListener("change", refresh);
    source.addEventListener("log", (event) => log.add(JSON.parse(event.data)));
    source.onerror = () => {
      show("lost", "Reconnecting");
      // A refusal is final for the browser; the daemon may be back later.
      if (source.readyState === EventSource.CLOSED) {
        disconnect();
        setTimeout(resume, 5000);
      }
    };
  }

  function disconnect() {
    source?.close();
    source = null;
  }

  function resume() {
    if (source || document.hidden) return;
    connect();
    refresh();
  }

  // Browsers allow few connections to one host: pages that nobody looks at hold none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      disconnect();
      show("off", "Paused");
    } else resume();
  });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => event.persisted && resume());
  if (!document.hidden) connect();
}
