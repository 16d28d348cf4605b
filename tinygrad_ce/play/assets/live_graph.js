/* A graph that the engine has laid out, and whose numbers change in their places. */

const LEAST_SCALE = 0.7; // of a graph that is wider than there is room; below, it scrolls
const NARROW = 640; // px, where a graph goes from top to bottom
const PIXELS = 160; // to drag a number over its whole range

export const directionFor = (element) => (element.clientWidth < NARROW ? "TB" : "LR");

/** A live graph in an element. `handles` has, by the name of a leaf, {read(i), write(i, value),
    range()}: its numbers can be dragged. */
export function liveGraph(element, handles = {}) {
  let slots = new Map(); // by tensor and by "value" or "grad": the text elements, or a picture

  function draw({ svg, leaves, reason }) {
    slots = new Map();
    if (reason) return element.replaceChildren(`No graph: ${reason}`);
    element.innerHTML = svg;
    const picture = element.firstElementChild;
    const width = picture.viewBox.baseVal.width;
    picture.removeAttribute("height");
    picture.setAttribute("role", "img");
    picture.style.minWidth = `${LEAST_SCALE * width}px`;
    picture.style.maxWidth = `${1.25 * width}px`;
    for (const part of picture.querySelectorAll("[data-id]")) {
      for (const name of ["role", "tabindex", "aria-label", "aria-expanded"]) part.removeAttribute(name);
      part.querySelector(".fold")?.remove();
      for (const what of ["value", "grad"]) {
        const slot = part.querySelector(`:scope > .${what}`);
        if (slot) slots.set(`${part.dataset.id}.${what}`, slot);
      }
      const handle = handles[leaves[part.dataset.id]];
      if (handle) makeHandles(part, handle);
    }
  }

  function update(tensors) {
    for (const [id, shown] of Object.entries(tensors))
      for (const what of ["value", "grad"])
        if (what in shown) write(slots.get(`${id}.${what}`), shown[what]);
  }

  return { draw, update };
}

function write(slot, shown) {
  if (!slot) return;
  if (shown.image) {
    slot.querySelector("image")?.setAttribute("href", shown.image);
    const span = slot.querySelector(".span");
    if (span) span.textContent = shown.span;
    return;
  }
  slot.querySelectorAll(".number").forEach((number, i) => {
    if (number.textContent !== shown[i]) number.textContent = shown[i];
  });
}

/** Let the numbers of a leaf be dragged to the left and to the right. */
function makeHandles(part, { read, write, range }) {
  part.querySelectorAll(".value .number").forEach((number, i) => {
    number.classList.add("handle");
    let start = null;
    number.addEventListener("pointerdown", (event) => {
      start = { x: event.clientX, value: read(i) };
      number.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    number.addEventListener("pointermove", (event) => {
      if (start) write(i, start.value + ((event.clientX - start.x) * range()) / PIXELS);
    });
    for (const end of ["pointerup", "pointercancel"])
      number.addEventListener(end, () => { start = null; });
  });
}
