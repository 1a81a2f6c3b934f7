// Callers of an HTTP peer. Each starts a run, waits for its end, and starts the next. Prints JSON: runs a second and the
// callers' times in milliseconds; for the job `hello` the times from the request to the script's first line.
//
//   node load.mjs '{"peer": "aegis", "base": "http://127.0.0.1:1", "token": "", "job": "no_op", "callers": 1, "seconds": 5}'
import http from "node:http";

const { peer, base, token, job, callers, seconds } = JSON.parse(process.argv[2]);
const agent = new http.Agent({ keepAlive: true, maxSockets: callers * 2 });
const now = () => performance.timeOrigin + performance.now();

function request(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    if (method === "GET") headers.Accept = "text/event-stream";
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const sent = http.request(base + path, { method, agent, headers, timeout: 30_000 }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () => {
        if (answer.statusCode >= 300) reject(new Error(`${method} ${path}: ${answer.statusCode} ${text}`));
        else resolve(text);
      });
      answer.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer within 30 s`)));
    sent.on("error", reject);
    sent.end(body);
  });
}

// Each gives the moment of the script's first line, where the job tells it.
const once = {
  async restate() {
    return Number(await request("POST", `/bench/${job}`));
  },
  async aegis() {
    if (job !== "hello") {
      const run = JSON.parse(await request("POST", `/api/v1/jobs/${job}/runs?wait=30`, "{}"));
      if (run.state !== "succeeded") throw new Error(`run ${run.id ?? run.run_id} is ${run.state ?? "not over"}`);
      return undefined;
    }
    const { run_id } = JSON.parse(await request("POST", `/api/v1/jobs/${job}/runs`, "{}"));
    // A followed log ends when the run does, and says how.
    const events = await request("GET", `/api/v1/runs/${run_id}/logs?follow=true`);
    const data = (kind) => {
      const event = events.split("\n\n").find((event) => event.split("\n").some((line) => line === `event: ${kind}`));
      return event?.split("\n").find((line) => line.startsWith("data: "))?.slice("data: ".length);
    };
    const { state } = JSON.parse(data("end") ?? '{"state": "not told"}');
    if (state !== "succeeded") throw new Error(`run ${run_id} is ${state}`);
    return micros(JSON.parse(data("log")).at);
  },
}[peer];

// RFC 3339 with microseconds; Date keeps only milliseconds.
function micros(text) {
  const fraction = /\.(\d+)Z$/.exec(text)?.[1] ?? "0";
  return Date.parse(text.replace(/\.\d+Z$/, "Z")) + Number(`0.${fraction}`) * 1000;
}

const took = [];
const first = [];
let failures = 0;
const warm = now() + Math.min(1, seconds / 4) * 1000;
const end = warm + seconds * 1000;
async function caller() {
  while (now() < end) {
    const began = now();
    try {
      const line = await once();
      if (began < warm) continue;
      took.push(now() - began);
      if (job === "hello") first.push(line - began);
    } catch (error) {
      failures += 1;
      if (failures > 100) throw error;
    }
  }
}
await Promise.all(Array.from({ length: callers }, caller));
// To the last answer: what was begun in time counts with all of its time.
const measured = (now() - warm) / 1000;
const at = (list, share) => list.sort((a, b) => a - b)[Math.round((list.length - 1) * share)] ?? null;
const samples = job === "hello" ? first : took;
console.log(JSON.stringify({ rate: took.length / measured, p50: at(samples, 0.5), p99: at(samples, 0.99), failures }));
agent.destroy();
