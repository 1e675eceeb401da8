// Keeps what changes on the page up to date: when the stream tells of a change, or else every few seconds.
import { morph } from "./morph.js";
import { retell } from "./times.js";

const EVERY = 5000;
const LEAST = 1000;
const SPREAD = 250; // so that not all pages that are open ask at once
const REST = 10; // times as long as an answer took, so that a busy service is not kept busy by who watches it
const LIVELY = 2000;

let asked = 0;
let took = 0;
let timer = null;
let running = false;
let failed = false;
let how = "poll";

export async function refresh() {
  clearTimeout(timer);
  timer = null;
  if (document.hidden) return; // who comes back asks at once
  if (running) return later(LEAST);
  running = true;
  asked = performance.now();
  try {
    const answer = await fetch(location.href, { headers: { "X-Fragment": "main" } });
    if (answer.redirected && new URL(answer.url).pathname === "/login") return location.assign(answer.url); // the session has ended
    if (!answer.headers.get("content-type")?.startsWith("text/html")) throw new Error(String(answer.status));
    const told = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = told.getElementById("main");
    if (main && !busy()) morph(document.getElementById("main"), main);
    failed = answer.status >= 500;
    if (told.title) document.title = told.title;
    retell();
  } catch {
    failed = true;
  } finally {
    running = false;
    took = performance.now() - asked;
    show();
    if (document.querySelector("main [data-lively]")) later(LIVELY); // the stream does not tell what a run says
    else if (how === "poll" || failed) later(EVERY);
  }
}

// Somebody who chooses, or types, in the part that would be replaced is left alone.
function busy() {
  const at = document.activeElement;
  return document.querySelector("main dialog[open]") !== null || (at?.closest("main") && at.matches("select, input, textarea"));
}

function later(wait) {
  timer ??= setTimeout(refresh, wait);
}

export function soon() {
  later(Math.max(SPREAD * Math.random(), asked + Math.max(LEAST, REST * took) - performance.now()));
}

function show() {
  const sign = document.getElementById("live");
  if (!sign) return;
  sign.dataset.how = failed ? "away" : how;
  const words = { stream: "Live", poll: "Every 5 s", away: "No answer" };
  sign.querySelector("span").textContent = words[sign.dataset.how];
  sign.title = failed ? "The service does not answer; trying again" : how === "stream" ? "Changes are shown as they happen" : "Looked for changes every 5 seconds";
}

function become(next) {
  how = next;
  show();
  if (how === "poll") later(EVERY);
}

function listen() {
  const stream = new EventSource("/api/stream");
  stream.onopen = () => {
    become("stream");
    soon(); // what happened before is asked for
  };
  stream.addEventListener("run", soon);
  stream.addEventListener("delivery", soon);
  stream.onerror = () => {
    become("poll"); // a stream that only broke is taken up again by the browser
    if (stream.readyState !== EventSource.CLOSED) return;
    soon(); // whoever is logged out is told so
    setTimeout(listen, 12 * EVERY);
  };
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) soon();
});

export function start() {
  if (!document.getElementById("live")) return;
  asked = performance.now();
  soon(); // whoever comes from a button sees what it has begun
  become("poll");
  listen();
}
