// Makes one tree of elements as another is, changing only what differs: focus, scrolling and what is open stay.

const KEPT = new Set(["open"]);

export function morph(from, to) {
  attributes(from, to);
  if (from.matches("[data-still]")) return;
  const named = new Map();
  for (const child of from.children) if (child.id) named.set(child.id, child);
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const twin = wanted.nodeType === 1 && wanted.id ? named.get(wanted.id) : fits(at, wanted) ? at : null;
    if (!twin) {
      from.insertBefore(document.importNode(wanted, true), at);
      continue;
    }
    if (twin === at) at = at.nextSibling;
    else from.insertBefore(twin, at);
    if (wanted.nodeType === 1) morph(twin, wanted);
    else if (twin.nodeValue !== wanted.nodeValue) twin.nodeValue = wanted.nodeValue;
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function fits(node, wanted) {
  return node !== null && node.nodeType === wanted.nodeType && node.nodeName === wanted.nodeName && !node.id === !wanted.id && !node.id;
}

function attributes(from, to) {
  for (const { name, value } of to.attributes) {
    if (!KEPT.has(name) && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    if (!KEPT.has(name) && !to.hasAttribute(name)) from.removeAttribute(name);
  }
}
