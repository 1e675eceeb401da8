// Times as people tell them, told again as they pass; the same words as the server's.

const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

export function retell() {
  const now = Date.now();
  for (const each of document.querySelectorAll("time[data-ago]")) {
    const seconds = (now - Date.parse(each.dateTime)) / 1000;
    const told = ago(seconds);
    if (each.textContent !== told) each.textContent = told;
  }
}

function ago(seconds) {
  const far = Math.abs(seconds);
  if (far < 1) return "now";
  const [unit, length] = far < 59.95 ? ["s", 1] : UNITS.find(([, each]) => far >= each) ?? ["m", 60];
  const told = `${far < 59.95 ? Math.round(far) : Math.floor(far / length) || 1}${unit}`;
  return seconds > 0 ? `${told} ago` : `in ${told}`;
}

export function start() {
  retell();
  setInterval(retell, 1000);
}
