// The page of the API: finds calls, sends them, and shows what comes back, as it comes.
import { copied, sure } from "./actions.js";

const MOST = 200000; // characters that are shown of an answer

const bearer = document.getElementById("bearer");
const wanted = document.getElementById("wanted");

// What a form asks for; null if something in it cannot be sent.
function asked(form) {
  const [method, pattern] = form.dataset.call.split(" ");
  const headers = {};
  const query = new URLSearchParams();
  let path = pattern;
  let body;
  let type;
  for (const field of form.elements) {
    const { in: where } = field.dataset;
    if (!where || (field.value === "" && where !== "body")) continue;
    if (where === "path") path = path.replace(`{${field.name}}`, field.name === "key" ? field.value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(field.value));
    else if (where === "query") query.set(field.name, field.value);
    else if (where === "header") headers[field.name] = field.value;
    else if (where === "type") type = field.value;
    else {
      body = field.value;
      type ??= field.dataset.type;
    }
  }
  if (body !== undefined) headers["Content-Type"] = type;
  const told = query.toString();
  return { method, url: told ? `${path}?${told}` : path, headers, body };
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function curl(form) {
  const { method, url, headers, body } = asked(form);
  const parts = [`curl${form.dataset.stream === undefined ? "" : " -N"} -X ${method} ${quoted(location.origin + url)}`, '-H "Authorization: Bearer $HOOKLINE_TOKEN"'];
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== undefined) parts.push(`--data-binary ${quoted(body)}`);
  return parts.join(" \\\n  ");
}

// JSON, laid out without being read: numbers stay as they were sent.
function laidOut(text) {
  let out = "";
  let depth = 0;
  let within = false;
  const line = () => `\n${"  ".repeat(depth)}`;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (within) {
      out += char;
      if (char === "\\") out += text[++at] ?? "";
      else if (char === '"') within = false;
    } else if (char === '"') {
      within = true;
      out += char;
    } else if (char === "{" || char === "[") {
      const end = text[at + 1];
      if (end === "}" || end === "]") out += char + text[++at];
      else {
        depth++;
        out += char + line();
      }
    } else if (char === "}" || char === "]") {
      depth--;
      out += line() + char;
    } else if (char === ",") out += char + line();
    else if (char === ":") out += ": ";
    else if (!/\s/.test(char)) out += char;
  }
  return out;
}

function cut(text) {
  return text.length > MOST ? `${text.slice(0, MOST)}\n… and ${text.length - MOST} characters more` : text;
}

const running = new WeakMap();

async function send(form) {
  const { method, url, headers, body } = asked(form);
  if (method === "DELETE" && !(await sure(`${method} ${decodeURIComponent(url)}?`, "Do it"))) return;
  const token = bearer.value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  else if (method !== "GET") headers["X-Hookline"] = "dashboard";
  running.get(form)?.abort();
  const stopping = new AbortController();
  running.set(form, stopping);
  const stop = form.querySelector("[data-stops]");
  if (stop) stop.disabled = false;
  const shown = form.parentElement.querySelector(".answer");
  const [status, took] = shown.querySelectorAll("p > *");
  const [head, content] = shown.querySelectorAll("pre");
  const began = performance.now();
  shown.hidden = false;
  status.textContent = "Asking";
  took.textContent = head.textContent = content.textContent = "";
  try {
    const answer = await fetch(url, { method, headers, body, credentials: token ? "omit" : "same-origin", cache: "no-store", signal: stopping.signal });
    const since = () => `${Math.round(performance.now() - began)} ms`;
    status.textContent = `${answer.status} ${answer.statusText}`;
    status.className = answer.ok || answer.status === 304 ? "t-succeeded" : "t-failed";
    head.textContent = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    took.textContent = since();
    if (answer.headers.get("content-type")?.startsWith("text/event-stream")) await follow(answer, content, took);
    else {
      const text = await answer.text();
      content.textContent = cut(answer.headers.get("content-type")?.includes("json") ? laidOut(text) : text);
      took.textContent = `${since()}, ${text.length} characters`;
    }
  } catch (error) {
    if (error.name === "AbortError") took.textContent = "stopped";
    else {
      status.textContent = "No answer";
      status.className = "t-failed";
      took.textContent = error.message;
    }
  } finally {
    if (running.get(form) === stopping && stop) stop.disabled = true;
  }
}

// A stream, as it comes, the newest of it.
async function follow(answer, content, took) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  took.textContent = "live";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    content.textContent = (content.textContent + value).slice(-MOST);
    content.scrollTop = content.scrollHeight;
  }
  took.textContent = "ended";
}

function find() {
  const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const group of document.querySelectorAll(".calls")) {
    let here = 0;
    for (const call of group.querySelectorAll(".call")) {
      call.hidden = !words.every((word) => call.dataset.words.includes(word));
      if (!call.hidden) here++;
    }
    group.hidden = here === 0;
    count += here;
  }
  document.getElementById("none").hidden = count > 0;
  document.getElementById("found").textContent = `${count} calls`;
}

function open() {
  const call = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!call?.matches(".call")) return;
  call.open = true;
  call.scrollIntoView({ block: "start" });
}

wanted.addEventListener("input", find);
document.getElementById("find-call").addEventListener("submit", (event) => {
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);
document.addEventListener("submit", (event) => {
  if (!event.target.dataset.call) return;
  event.preventDefault();
  send(event.target);
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const form = button?.form;
  if (!form?.dataset.call) return;
  if (button.dataset.curl !== undefined) copied(curl(form));
  else if (button.dataset.stops !== undefined) running.get(form)?.abort();
});
document.addEventListener("toggle", (event) => {
  if (event.target.matches(".call[open]")) history.replaceState(null, "", `#${event.target.id}`);
}, true);
addEventListener("hashchange", open);
open();
find();
