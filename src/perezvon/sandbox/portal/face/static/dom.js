// Building and keeping up elements. Values reach the page as text nodes and attributes only: there is no innerHTML here.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  phone: "M6.6 2.9 9 2.3c.6-.1 1.200.2 1.400.8l1.100 2.700c.2.5.1 1.100-.3 1.500L9.500 9c.9 2.100 2.600 3.800 4.700 4.700l1.700-1.700c.4-.4 1-.5 1.500-.3l2.700 1.100c.6.2.9.800.8 1.400l-.6 2.400c-.2.8-.9 1.400-1.700 1.400C10.600 18 4 11.400 5.200 4.600c.1-.8.6-1.500 1.400-1.700Z",
  incoming: "M17 7 7.500 16.500M7 9v8h8",
  outgoing: "M7 17 16.500 7.500M9 7h8v8",
  missed: "M7 7l10 10M17 7 7 17",
  callback: "M9 7 5 11l4 4M5 11h9a5 5 0 0 1 5 5v1",
  screen: "M4 5h16v11H4zM9 20h6M12 16v4",
};

/** An element with attributes, listeners (`onclick`) and children; strings become text. Null children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

export function icon(name) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name] ?? ICONS.phone);
  const solid = name === "phone";
  path.setAttribute("fill", solid ? "currentColor" : "none");
  path.setAttribute("stroke", solid ? "none" : "currentColor");
  path.setAttribute("stroke-width", "2");
  path.setAttribute("stroke-linecap", "round");
  path.setAttribute("stroke-linejoin", "round");
  drawing.append(path);
  return drawing;
}

/**
 * Makes the children of `parent` show `items` in order, touching only what changed: an item that stays as it was keeps its
 * element (a playing record goes on, an animation does not start again).
 * `make(item)` builds an element; `keep(old, fresh)` may carry things over when an item changed.
 */
export function keyed(parent, items, key, make, { first = false, keep = null, update = null } = {}) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = [];
  for (const item of items) {
    const id = String(key(item));
    const print = JSON.stringify(item);
    let element = known.get(id);
    if (!element) {
      element = make(item);
      if (!first) element.classList.add("fresh");
    } else if (element.keyedPrint !== print) {
      if (update) update(element, item);
      else {
        const fresh = make(item);
        keep?.(element, fresh);
        element.replaceWith(fresh);
        element = fresh;
      }
    }
    element.dataset.key = id;
    element.keyedPrint = print;
    known.delete(id);
    wanted.push(element);
  }
  for (const gone of known.values()) gone.remove();
  wanted.forEach((element, at) => {
    if (parent.children[at] !== element) parent.insertBefore(element, parent.children[at] ?? null);
  });
}

export const $ = (id) => document.getElementById(id);
