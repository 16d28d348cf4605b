/* Elements of HTML and SVG, made from what is in them. */

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

/** An element with attributes ("on…" are listeners; null and false are left out) and content. */
export function el(tag, attributes = {}, ...content) {
  return fill(document.createElement(tag), attributes, content);
}

/** The same, of SVG. */
export function svg(tag, attributes = {}, ...content) {
  return fill(document.createElementNS(SVG, tag), attributes, content);
}

function fill(element, attributes, content) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value != null && value !== false) element.setAttribute(name, value);
  }
  element.append(...content.flat(Infinity).filter((part) => part != null && part !== false));
  return element;
}
