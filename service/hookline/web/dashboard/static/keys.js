// The keyboard: `g` and a letter go somewhere, `j` and `k` through the rows, `/` to the filter, `?` tells all.

const PLACES = { o: "/", r: "/runs", d: "/deliveries", j: "/jobs", s: "/schedules", f: "/definitions", u: "/sources", w: "/workers", a: "/docs" };

let going = 0;

function rows() {
  return [...document.querySelectorAll("main a.go, main .notices a, main .gantt summary")];
}

function move(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement);
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

export function start() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.matches("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (going && performance.now() - going < 1500 && PLACES[event.key]) {
      event.preventDefault();
      return location.assign(PLACES[event.key]);
    }
    going = event.key === "g" ? performance.now() : 0;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "?") document.getElementById("keys").showModal();
    else if (event.key === "t") document.getElementById("theme")?.click();
    else if (event.key === "/") {
      event.preventDefault();
      (document.querySelector("main .filters input") ?? document.querySelector(".find input"))?.focus();
    }
  });
}
