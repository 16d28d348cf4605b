/* The graph of one example: its numbers at each step, and the gradient that flows back in it. */

import { brief, floats, heatMap, sizeOf, split } from "./drawing.js";
import { el } from "./elements.js";


/** The graph, which describes a chosen tensor by told(words). */
export function createGraph({ told }) {
  const view = el("div", { class: "graph-view", tabindex: "0", role: "region", "aria-label": "The graph of the example" });
  const picture = document.createElement("canvas");
  let drawn = null, tensors = [], parts = new Map(), edges = new Map(), frame = null, scale = 1;
  let steps = null, at = 0; // of a backward pass that is shown contribution by contribution

  function start(reply) {
    steps = null;
    tensors = reply.tensors;
    parts = new Map();
    edges = new Map();
    if (!reply.svg) {
      drawn = null;
      view.replaceChildren(el("p", { class: "note" }, `There is no picture of the graph: ${reply.why}`));
      return;
    }
    drawn = document.importNode(new DOMParser().parseFromString(reply.svg, "image/svg+xml").documentElement, true);
    // There is no folding here, so what can be pressed are the tensors alone.
    for (const part of drawn.querySelectorAll("[data-id]")) {
      parts.set(part.dataset.id, part);
      if (part.matches(".scope, .folded")) part.removeAttribute("role");
      else if (part.matches(".tensor")) part.tabIndex = 0;
    }
    for (const sign of drawn.querySelectorAll(".fold")) sign.remove();
    for (const edge of drawn.querySelectorAll("[data-uses]"))
      for (const use of edge.dataset.uses.split(" ")) edges.set(use, edge);
    for (const tensor of tensors) {
      const part = parts.get(tensor.id);
      tensor.size = sizeOf(tensor.cells);
      tensor.slots = ["value", "grad"].map((what) => part?.querySelector(`.${what}`) ?? null);
    }
    view.replaceChildren(drawn);
    fit();
  }

  /* ── Zoom ───────────────────────────────────────────────────────────────────────────────── */

  const natural = () => drawn.getAttribute("viewBox").split(" ").map(Number);

  function zoom(by) {
    if (!drawn) return;
    scale = Math.min(Math.max(by, 0.2), 3);
    const [, , width, height] = natural();
    drawn.setAttribute("width", width * scale);
    drawn.setAttribute("height", height * scale);
  }

  const fit = () => drawn && zoom(Math.max(Math.min((view.clientWidth - 8) / natural()[2], 1), 0.62));

  /* ── Numbers ────────────────────────────────────────────────────────────────────────────── */

  function show(example) {
    frame = example;
    if (!drawn) return;
    const values = split(floats(example.values), tensors.map((t) => t.size));
    const gradients = split(floats(example.gradients), tensors.map((t) => (t.gradient ? t.size : 0)));
    tensors.forEach((tensor, i) => {
      tensor.value = values[i];
      tensor.grad = tensor.gradient ? gradients[i] : null;
      fill(tensor, 0, values[i], example.largest[i][0]);
      if (tensor.gradient) fill(tensor, 1, gradients[i], example.largest[i][1]);
    });
    showFlows();
  }

  function fill({ slots, cells }, which, numbers, largest) {
    const slot = slots[which];
    if (!slot) return;
    const texts = (slot.texts ??= [...slot.querySelectorAll(".number")]);
    texts.forEach((text, i) => { text.textContent = brief(numbers[i]); });
    const image = (slot.image ??= slot.querySelector("image"));
    if (!image) return;
    const [rows, columns] = cells.length > 1 ? cells : [1, cells[0] ?? 1];
    Object.assign(picture, { width: columns, height: rows });
    const context = picture.getContext("2d");
    const pixels = context.createImageData(columns, rows);
    heatMap(pixels, numbers, rows, columns, largest);
    context.putImageData(pixels, 0, 0);
    image.setAttribute("href", picture.toDataURL());
    (slot.span ??= slot.querySelector(".span")).textContent = `up to ±${brief(largest)}`;
  }

  /** Along each edge, what comes back: the stronger, the thicker. */
  function showFlows() {
    const norms = frame.flows;
    const most = Math.max(...Object.values(norms), 1e-30);
    for (const edge of new Set(edges.values())) {
      const norm = Math.max(...edge.dataset.uses.split(" ").map((use) => norms[use] ?? 0));
      // From 10⁻⁴ of the strongest on, by its logarithm.
      const share = norm > 0 ? Math.max(1 + Math.log10(norm / most) / 4, 0.04) : 0;
      edge.classList.toggle("flows", share > 0 && !steps);
      edge.style.setProperty("--flow", `${0.6 + 3.6 * share}px`);
      edge.style.setProperty("--strength", 0.25 + 0.75 * share);
    }
  }

  /* ── One contribution after the other ───────────────────────────────────────────────────── */

  function back(list) {
    steps = list;
    at = 0;
    drawn?.classList.add("stepping");
    showStep();
  }

  function showStep() {
    if (!drawn) return;
    for (const part of drawn.querySelectorAll(".active, .from")) part.classList.remove("active", "from", "back");
    const arrived = new Set(["t" + (tensors.length - 1), ...steps.slice(0, at + 1).map((s) => s.to)]);
    for (const tensor of tensors) tensor.slots[1]?.classList.toggle("pending", !arrived.has(tensor.id));
    showFlows();
    const step = steps[at];
    for (const use of [step.use, `${step.maker}.y`]) edges.get(use)?.classList.add("active", "back");
    for (const [id, mark] of [[step.from, "from"], [step.maker, "active"], [step.to, "active"]])
      parts.get(id)?.classList.add(mark);
    follow();
    const of = step.of > 1 ? ` It is contribution ${step.number} of ${step.of} to this gradient.` : "";
    told(`Contribution ${at + 1} of ${steps.length}, back through ${step.primitive}: ∂loss/∂${step.name} += ` +
      `${rule(step)}, which is ${step.added}.${of}`);
  }

  /** The rule of a step in text: y is what the primitive made, g the gradient there. */
  function rule({ rule, letters, from_name: made }) {
    const names = { ...letters, y: made, g: made === "loss" ? "1" : `∂loss/∂${made}` };
    const text = (parts) => parts.map(written).join("");
    const written = (part) => {
      if (typeof part === "string") return part === "·" ? " · " : part;
      const [mark, ...inner] = part;
      if (mark === "var") return names[inner[0]] ?? inner[0];
      if (mark === "name") return inner[1];
      if (mark === "sup") return text(inner[0]) === "2" ? "²" : `^(${text(inner[0])})`;
      if (mark === "sub") return `_${text(inner[0])}`;
      if (mark === "root") return `√(${text(inner[0])})`;
      if (mark === "frac") return inner.map((side) => (side.length > 1 ? `(${text(side)})` : text(side))).join(" / ");
      return `${text(inner[1])} where ${text(inner[0])}, else ${text(inner[2])}`;
    };
    return text(rule);
  }

  function follow() {
    const frame = view.getBoundingClientRect();
    const boxes = [...drawn.querySelectorAll(".tensor:is(.active, .from)")].map((part) => part.getBoundingClientRect());
    if (!boxes.length) return;
    const left = Math.min(...boxes.map((box) => box.left)), right = Math.max(...boxes.map((box) => box.right));
    const top = Math.min(...boxes.map((box) => box.top)), bottom = Math.max(...boxes.map((box) => box.bottom));
    view.scrollLeft += (left + right - frame.left - frame.right) / 2;
    view.scrollTop += (top + bottom - frame.top - frame.bottom) / 2;
  }

  function end() {
    if (!steps) return;
    steps = null;
    drawn?.classList.remove("stepping");
    for (const part of drawn?.querySelectorAll(".active, .from, .pending") ?? [])
      part.classList.remove("active", "from", "back", "pending");
    told("");
    if (frame) showFlows();
  }

  /* ── A tensor ───────────────────────────────────────────────────────────────────────────── */

  function choose(part) {
    const tensor = tensors.find((t) => t.id === part.dataset.id);
    if (!tensor?.value) return;
    const list = (numbers) => (numbers.length > 8 ? `${numbers.length} numbers shown` : [...numbers].map((v) => brief(v)).join(", "));
    const gradient = tensor.grad ? `gradient ${list(tensor.grad)}` : "no gradient";
    const made = tensor.primitive ? `, computed by ${tensor.primitive}` : "";
    told(`${tensor.name}, shape (${tensor.shape.join(", ")})${made}: value ${list(tensor.value)}; ${gradient}.`);
  }

  view.addEventListener("click", (event) => {
    const part = event.target.closest(".tensor");
    if (part) choose(part);
  });
  view.addEventListener("keydown", (event) => {
    const part = event.target.closest?.(".tensor");
    if (!part || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    event.stopPropagation();
    choose(part);
  });

  return {
    view, start, show, back, end, fit,
    zoom: (factor) => zoom(scale * factor),
    redraw: () => frame && show(frame),
    get stepping() { return Boolean(steps); },
    /** Go on to the next contribution; false at the end. */
    next() {
      if (!steps || at + 1 >= steps.length) return false;
      at++;
      showStep();
      return true;
    },
  };
}
