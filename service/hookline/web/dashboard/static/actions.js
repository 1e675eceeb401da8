// What buttons do: ask the API, tell what came of it, and show how things stand then.
import { refresh, soon } from "./live.js";

export function tell(text, bad = false) {
  const line = document.createElement("div");
  line.textContent = text;
  if (bad) line.className = "bad";
  document.getElementById("told").append(line);
  setTimeout(() => line.remove(), bad ? 12000 : 5000);
}

async function ask(how, body) {
  const [method, path] = how.split(" ");
  const answer = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json", "X-Hookline": "dashboard" },
    body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail ?? `the service answered ${answer.status}`);
  return told;
}

async function doing(button, work) {
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    tell(error instanceof TypeError ? "The service does not answer: nothing is known to have been done" : error.message, true);
    return null;
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

// A question in a dialog of its own; true if the answer is yes.
export function sure(text, yes) {
  const dialog = document.getElementById("sure");
  dialog.querySelector("p").textContent = text;
  const button = dialog.querySelector("[value=yes]");
  button.textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  button.focus();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}

async function finish(told, { said, then }) {
  const id = told.id ?? told.delivery ?? "";
  if (said) tell(said);
  if (then) location.assign(then.replace("{id}", encodeURIComponent(id)));
  else await settle();
}

// What was asked for may take a moment.
async function settle() {
  await refresh();
  soon();
}

async function press(button) {
  const { act, body, confirm, said, then, shows } = button.dataset;
  if (confirm && !(await sure(confirm, button.dataset.yes ?? button.textContent.trim()))) return;
  const told = await doing(button, () => ask(act, body ? JSON.parse(body) : {}));
  if (told === null) return;
  if (shows) show(shows, JSON.stringify(told, null, 2));
  else await finish(told, { said, then });
}

// A text in a dialog of its own, for as long as that is open.
function show(title, text) {
  const dialog = document.getElementById("shown");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector("pre").textContent = text;
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    dialog.querySelector("pre").textContent = "";
    done();
  }, { once: true }));
}

async function many(button) {
  const { action } = button.dataset;
  const name = button.textContent.trim().replace("…", "");
  const filter = JSON.parse(button.closest("[data-bulk]").dataset.bulk);
  const seen = await doing(button, () => ask(`POST /api/runs/${action}`, { filter }));
  if (seen === null) return;
  if (seen.fitting === 0) return tell(`There is no run to ${action}`);
  const most = seen.fitting >= 10000 ? "At least 10,000 runs fit; the oldest 10,000 are done now." : `${seen.fitting} ${seen.fitting === 1 ? "run fits" : "runs fit"}.`;
  if (!(await sure(`${most} ${name} ${seen.fitting === 1 ? "it" : "them"}?`, `${name} ${seen.fitting === 1 ? "it" : "them"}`))) return;
  const told = await doing(button, () => ask(`POST /api/runs/${action}`, { filter, dry_run: false }));
  if (told === null) return;
  const refused = Object.values(told.refused ?? {});
  tell(`${told.done} of ${told.fitting} done${refused.length ? `; ${refused.length} refused: ${refused[0]}` : ""}`, refused.length > 0);
  await settle();
}

// The value of a field, as what it stands for; undefined if it is left empty.
function valueOf(field) {
  const text = field.value;
  const kind = field.dataset.kind;
  if (kind === "boolean") return field.type === "checkbox" ? field.checked : text === "" ? undefined : text === "true";
  if (text.trim() === "" && !field.hasAttribute("data-empty")) return undefined;
  if (kind === "number" || kind === "integer") return Number(text);
  if (kind !== "json") return text;
  try {
    return JSON.parse(text);
  } catch (error) {
    field.setCustomValidity(`This is not JSON: ${error.message}`);
    field.reportValidity();
    field.addEventListener("input", () => field.setCustomValidity(""), { once: true });
    throw new Error(`${field.name} is not JSON`);
  }
}

// The body of a request from the fields of a form: `a.b` goes into the object `a`.
function bodyOf(form) {
  const body = form.dataset.body ? JSON.parse(form.dataset.body) : {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || field.closest("[hidden]")) continue;
    const value = valueOf(field);
    if (value === undefined) continue;
    const path = field.dataset.whole === undefined ? field.name.split(".") : [field.name];
    let at = body;
    for (const part of path.slice(0, -1)) at = at[part] ??= {};
    at[path.at(-1)] = value;
  }
  return body;
}

async function submit(form, button) {
  let body;
  try {
    body = bodyOf(form);
    if (button?.dataset.with) {
      const extra = JSON.parse(button.dataset.with);
      body = { ...body, ...extra, data: extra.data ? { ...extra.data, ...body.data } : body.data };
    }
  } catch (error) {
    return tell(error.message, true);
  }
  const told = await doing(button ?? form.querySelector("button.main"), () => ask(form.dataset.act, body));
  if (told === null) return;
  form.closest("dialog")?.close();
  if (form.dataset.shows) {
    form.reset();
    await show(form.dataset.shows, told[form.dataset.of]);
  }
  await finish(told, form.dataset);
}

function copy(button) {
  return copied(button.dataset.copy || document.getElementById(button.dataset.copyFrom).textContent);
}

export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    tell("Copied");
  } catch {
    tell("This browser does not let pages copy: select the text instead", true);
  }
}

export function start() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) {
      if (event.target.matches("dialog")) event.target.close(); // beside it
      return;
    }
    if (button.dataset.act) press(button);
    else if (button.dataset.action && button.closest("[data-bulk]")) many(button);
    else if (button.dataset.opens) open(button);
    else if (button.dataset.copy !== undefined || button.dataset.copyFrom) copy(button);
    else if (button.dataset.closes !== undefined) button.closest("dialog").close();
    else if (button.dataset.swaps) swap(button);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.dataset.act) return;
    event.preventDefault();
    submit(event.target, event.submitter);
  });
}

function open(button) {
  const dialog = document.getElementById(button.dataset.opens);
  for (const [name, value] of Object.entries(button.dataset.fill ? JSON.parse(button.dataset.fill) : {})) {
    const field = dialog.querySelector(`[name="${CSS.escape(name)}"]`);
    if (field) field.value = value;
  }
  dialog.showModal();
}

// Between the fields of a form and its whole input as JSON.
function swap(button) {
  for (const part of document.querySelectorAll(`[data-part="${CSS.escape(button.dataset.swaps)}"]`)) {
    part.hidden = !part.hidden;
    for (const field of part.querySelectorAll("input, select, textarea")) field.disabled = part.hidden; // else a required one keeps the form back
  }
}
