// Makes one tree like another and keeps what belongs to the reader: focus, open details, text being typed.

const KEPT = "[data-keep]";
// What the reader changes and the server does not know.
const OWN = { DETAILS: ["open"], DIALOG: ["open"], INPUT: ["value", "checked"], OPTION: ["selected"] };

/** Changes the children of `old` into those of `fresh`. */
export function morph(old, fresh) {
  const byId = new Map();
  for (const child of old.children) if (child.id) byId.set(child.id, child);
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const match = (wanted.id && byId.get(wanted.id)) || (place && isAlike(place, wanted) ? place : null);
    if (!match) {
      old.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else old.insertBefore(match, place);
    change(match, wanted);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function isAlike(node, wanted) {
  return node.nodeType === wanted.nodeType && node.nodeName === wanted.nodeName && (node.id ?? "") === (wanted.id ?? "");
}

function change(node, wanted) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.data !== wanted.data) node.data = wanted.data;
    return;
  }
  if (node.matches(KEPT)) return;
  attributes(node, wanted);
  const isTyping = node === document.activeElement && /^(TEXTAREA|SELECT)$/.test(node.nodeName);
  if (!isTyping) morph(node, wanted);
}

function attributes(node, wanted) {
  const own = OWN[node.nodeName] ?? [];
  for (const { name, value } of wanted.attributes) {
    if (!own.includes(name) && node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  for (const { name } of [...node.attributes]) {
    if (!own.includes(name) && !wanted.hasAttribute(name)) node.removeAttribute(name);
  }
}
