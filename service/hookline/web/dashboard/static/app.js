// Puts the page's parts to work.
import * as actions from "./actions.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import * as times from "./times.js";

for (const part of [times, actions, keys, live]) part.start();

const root = document.documentElement;

function dark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

document.getElementById("theme")?.addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  try {
    localStorage.setItem("hookline-theme", root.dataset.theme);
  } catch {
    // it lasts as long as the page
  }
});

// A filter is in the address: what is left empty is left out, and what is chosen counts at once.
for (const form of document.querySelectorAll("form.filters")) {
  form.addEventListener("change", (event) => {
    if (event.target.matches("select")) form.requestSubmit();
  });
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  });
}
addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form.filters :disabled")) field.disabled = false;
});

// On a small screen the pages' names scroll.
document.querySelector(".side nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

// A link to the place of a call opens it.
const marked = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (marked) marked.querySelector("details")?.setAttribute("open", "");
