/* The picture of the graph at a step: what is known, what is marked, folded and chosen. */

/* ── What is known at which step ────────────────────────────────────────────────────────────── */

const valueStep = new Map(nodes.map((node) => [node.id, 0]));
const gradientSteps = new Map(nodes.map((node) => [node.id, []]));
steps.forEach((step, i) => {
  if (step.kind === "value") valueStep.set(step.to, i);
  else if (step.kind !== "given") gradientSteps.get(step.to).push(i);
});
const firstBackward = steps.findIndex((step) => step.kind === "seed");
const consumers = new Map(nodes.map((node) => [node.id, []]));
for (const node of nodes) for (const input of new Set(node.inputs)) consumers.get(input).push(node.id);

/** Of a tensor at a step: the number of its gradient so far, and how many contributions are in. */
function gradientAt(id, step) {
  const all = gradientSteps.get(id);
  let arrived = 0;
  while (arrived < all.length && all[arrived] <= step) arrived++;
  return { array: arrived ? steps[all[arrived - 1]].after : null, arrived, of: all.length };
}

/* ── The picture ────────────────────────────────────────────────────────────────────────────── */

const view = $("view");
const drawn = { svg: null, parts: new Map(), edges: new Map(), state: new Map(), scale: 1, layout: 0 };
const state = { step: -1, chosen: null, element: null, playing: 0 };

function attachSvg(svg, layout) {
  Object.assign(drawn, { svg, layout, obstacles: null, parts: new Map(), edges: new Map(), state: new Map() });
  for (const part of svg.querySelectorAll("[data-id]")) {
    drawn.parts.set(part.dataset.id, part);
    if (part.matches('[role="button"]')) part.setAttribute("tabindex", "0");
  }
  for (const edge of svg.querySelectorAll("[data-uses]"))
    for (const use of edge.dataset.uses.split(" ")) drawn.edges.set(use, edge);
}

/** The part of the picture that shows a tensor or primitive: itself, or the scope it is in. */
const partFor = (id) => drawn.parts.get(id) ?? drawn.parts.get(layouts[drawn.layout].folded_into[id]);

function showNumbers(group, array) {
  const texts = group.querySelectorAll(".number");
  if (texts.length) {
    const values = array == null ? [] : elements(array);
    texts.forEach((text, i) => { text.textContent = array == null ? "" : number(values[i]); });
    return;
  }
  const picture = group.querySelector("image");
  if (picture && array != null) {
    picture.setAttribute("href", arrays[array].picture);
    group.querySelector(".span").textContent = span(arrays[array]);
  }
}

function span(array) {
  const parts = "min" in array ? [`${number(array.min, 3)} … ${number(array.max, 3)}`] : [];
  for (const what of ["nan", "inf"]) if (array[what]) parts.push(`${array[what]} ${what}`);
  return parts.join(", ");
}

/** Bring the boxes to a step; only those whose state differs are touched. */
function showBoxes(step) {
  const ended = step >= steps.length - 1;
  for (const node of nodes) {
    const part = drawn.parts.get(node.id);
    if (!part && node.inputs.length === 0) continue;
    const known = valueStep.get(node.id) <= step;
    const { array, arrived, of } = gradientAt(node.id, step);
    const now = `${known} ${arrived} ${ended && !of}`;
    if (drawn.state.get(node.id) === now) continue;
    drawn.state.set(node.id, now);
    drawn.parts.get(`p${node.id.slice(1)}`)?.classList.toggle("pending", !known);
    if (!part) continue;
    part.classList.toggle("pending", !known);
    part.setAttribute("aria-label", describe(node, known, array, arrived, of));
    const group = part.querySelector(".grad");
    if (!group) continue;
    group.classList.toggle("pending", !arrived && !(ended && !of));
    group.classList.toggle("partial", arrived > 0 && arrived < of);
    if (of) showNumbers(group, array); // else a word says that none arrives
    const label = group.querySelector(".label");
    if (label) label.textContent = arrived && arrived < of ? `${arrived} of ${of}` : "grad";
  }
}

function describe(node, known, array, arrived, of) {
  const parts = [`${node.name}, ${node.primitive ?? node.kind}, ${shapeText(node.shape)}`];
  parts.push(known ? `value ${brief(node.value)}` : "not computed yet");
  if (array != null) parts.push(`gradient ${brief(array)}${arrived < of ? `, ${arrived} of ${of} contributions` : ""}`);
  else if (node.wanted && trace.differentiated) parts.push(of ? "no gradient yet" : "no gradient reaches it");
  return parts.join(", ");
}

function brief(array) {
  const values = elements(array);
  return values && values.length <= 6 ? [...values].map((v) => number(v)).join(" ") : span(arrays[array]);
}

const marked = [];

function clearMarks() {
  for (const [part, name] of marked.splice(0)) part.classList.remove(...name.split(" "));
  drawn.svg.querySelector(".callouts").replaceChildren();
}

/** Mark what a step is about, and write what it adds at the edge along which it comes. */
function markStep(step) {
  clearMarks();
  const mark = (part, name) => {
    if (!part) return;
    part.classList.add(...name.split(" "));
    marked.push([part, name]);
  };
  if (step.kind === "given") return;
  if (step.kind === "seed") return mark(partFor(step.to), "active");
  const forth = step.kind === "value";
  const maker = `p${(forth ? step.to : step.from).slice(1)}`;
  const uses = forth ? byId.get(step.to).inputs.map((_, i) => `${maker}.${i}`) : [`${maker}.${step.place}`];
  for (const use of [...uses, `${maker}.y`]) mark(drawn.edges.get(use), `active ${forth ? "forth" : "back"}`);
  if (forth) for (const input of byId.get(step.to).inputs) mark(partFor(input), "from");
  else mark(partFor(step.from), "from");
  mark(partFor(maker), "active");
  mark(partFor(step.to), "active");
  if (!forth) addCallout(drawn.edges.get(uses[0]) ?? drawn.edges.get(`${maker}.y`), step);
}

/** Where the boxes and ovals are, in the units of the picture. */
function obstacles() {
  drawn.obstacles ??= [...drawn.svg.querySelectorAll(".tensor, .primitive, .folded")].map((part) => {
    const { x, y, width, height } = part.getBBox();
    const move = part.transform.baseVal.consolidate()?.matrix;
    return { x: x + (move?.e ?? 0), y: y + (move?.f ?? 0), width, height };
  });
  return drawn.obstacles;
}

function overlap(a, b) {
  const wide = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const high = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return wide > 0 && high > 0 ? wide * high : 0;
}

/** The place near a point where a label of some size hides least. */
function freePlace(point, width, height) {
  const [left, top, wide, high] = drawn.svg.getAttribute("viewBox").split(" ").map(Number);
  let best = null;
  for (const away of [16, 34, 56, 84, 120])
    for (const [dx, dy] of [[0, 1], [0, -1], [0.6, 1], [-0.6, 1], [0.6, -1], [-0.6, -1]]) {
      const x = Math.min(Math.max(point.x + dx * width * 0.8 - width / 2, left + 2), left + wide - width - 2);
      const y = Math.min(Math.max(point.y + dy * away + (dy < 0 ? -height : 0), top + 2), top + high - height - 2);
      const box = { x, y, width, height };
      const cost = away + Math.abs(dx) * 10 + obstacles().reduce((all, other) => all + overlap(box, other), 0);
      if (!best || cost < best.cost) best = { ...box, cost };
    }
  return best;
}

function addCallout(edge, step) {
  if (!edge) return;
  const path = edge.querySelector("path");
  const middle = path.getPointAtLength(path.getTotalLength() / 2);
  const formula = inText(step.formula, named(step.vars, byId.get(step.from)));
  const { plain, total } = inNumbers(step, element(step));
  const short = (text, end = "") => (text.length > 40 ? `${text.slice(0, 38 - end.length)}…${end}` : text);
  const lines = [short(`+= ${formula}`), short(plain, ` = ${total}`)];
  const width = Math.max(...lines.map((line) => line.length)) * 5.6 + 14;
  const { x: left, y } = freePlace(middle, width, 34);
  const x = left + width / 2;
  const group = svgEl("g", { class: "callout" });
  group.append(svgEl("path", { d: `M${middle.x} ${middle.y}L${x} ${y + 17}` }), svgEl("rect", { x: left, y, width, height: 34, rx: 4 }));
  lines.forEach((line, i) => {
    const text = svgEl("text", { x, y: y + 14 + 14 * i });
    text.textContent = line;
    group.append(text);
  });
  drawn.svg.querySelector(".callouts").replaceChildren(group);
}

/** Scroll the view, and only the view, so that the marked parts are in it. */
function follow() {
  const parts = marked.map(([part]) => part).filter((part) => part.matches(".tensor, .folded"));
  if (parts.length) intoView([...parts, ...drawn.svg.querySelectorAll(".callout")]);
}

function intoView(parts) {
  const boxes = parts.map((part) => part.getBoundingClientRect());
  const frame = view.getBoundingClientRect();
  const side = (name, pick) => pick(...boxes.map((box) => box[name]));
  const [left, right] = [side("left", Math.min), side("right", Math.max)];
  const [top, bottom] = [side("top", Math.min), side("bottom", Math.max)];
  const move = (low, high, from, to) => {
    if (low >= from + 8 && high <= to - 8) return 0;
    return high - low > to - from - 16 ? low - from - 8 : (low + high - from - to) / 2;
  };
  view.scrollLeft += move(left, right, frame.left, frame.right);
  view.scrollTop += move(top, bottom, frame.top, frame.bottom);
}

/* ── Zoom ───────────────────────────────────────────────────────────────────────────────────── */

const natural = () => drawn.svg.getAttribute("viewBox").split(" ").slice(2).map(Number);

function zoom(scale) {
  const [width, height] = natural();
  const across = (view.scrollLeft + view.clientWidth / 2) / (view.scrollWidth || 1);
  const down = (view.scrollTop + view.clientHeight / 2) / (view.scrollHeight || 1);
  drawn.scale = Math.min(Math.max(scale, 0.05), 8);
  drawn.svg.setAttribute("width", width * drawn.scale);
  drawn.svg.setAttribute("height", height * drawn.scale);
  view.scrollLeft = across * view.scrollWidth - view.clientWidth / 2;
  view.scrollTop = down * view.scrollHeight - view.clientHeight / 2;
}

function fitting(most = 1.6) {
  const [width, height] = natural();
  const available = document.body.classList.contains("wide") ? window.innerHeight * 0.52 : view.clientHeight;
  return Math.min((view.clientWidth - 4) / width, (available - 4) / height, most);
}

/** All of the graph if it is legible then, else as much of it as is. */
const zoomAtFirst = () => zoom(Math.max(fitting(), 0.8));

/* ── Scopes ─────────────────────────────────────────────────────────────────────────────────── */

const first = view.querySelector("svg");
const parsed = (svg) => document.importNode(new DOMParser().parseFromString(svg, "image/svg+xml").documentElement, true);

function showLayout(i, focus) {
  if (i === drawn.layout && drawn.svg) return;
  const svg = i ? (layouts[i].drawn ??= parsed(layouts[i].svg)) : first;
  clearMarks(); // the layout that is left is kept, and may come back
  markRelated(null);
  view.replaceChildren(svg);
  attachSvg(svg, i);
  zoomAtFirst();
  const step = state.step;
  showBoxes(step);
  markStep(steps[step]);
  if (state.chosen) markRelated();
  follow();
  $("fold").textContent = layouts[i].folded.length ? "Open all" : "Fold all";
  if (focus) drawn.parts.get(focus)?.focus({ preventScroll: true });
}

/** Open or fold the scopes: a page has at most two ways to fold them. */
function toggleScopes(focus) {
  if (layouts.length > 1) showLayout(1 - drawn.layout, focus);
}

/* ── Related tensors ────────────────────────────────────────────────────────────────────────── */

function reach(id, next) {
  const found = new Set();
  const todo = [id];
  while (todo.length) for (const other of next(todo.pop())) if (!found.has(other)) { found.add(other); todo.push(other); }
  return found;
}

function markRelated(id = state.chosen) {
  const svg = drawn.svg;
  svg.classList.toggle("related", id != null);
  const relations = ["is-related", "chosen", "ancestor", "descendant"];
  for (const part of svg.querySelectorAll(".is-related, .chosen")) part.classList.remove(...relations);
  if (id == null) return;
  const before = reach(id, (n) => byId.get(n).inputs);
  const after = reach(id, (n) => consumers.get(n));
  const all = new Set([...before, ...after, id]);
  for (const n of all) {
    partFor(n)?.classList.add("is-related", n === id ? "chosen" : before.has(n) ? "ancestor" : "descendant");
    const node = byId.get(n);
    if (!node.primitive || (n !== id && after.has(n) === false && !before.has(n))) continue;
    partFor(`p${n.slice(1)}`)?.classList.add("is-related");
    drawn.edges.get(`p${n.slice(1)}.y`)?.classList.add("is-related");
    node.inputs.forEach((input, i) => { if (all.has(input)) drawn.edges.get(`p${n.slice(1)}.${i}`)?.classList.add("is-related"); });
  }
}

function choosePart(id, focus = false) {
  state.chosen = id;
  markRelated();
  showNode();
  const part = partFor(id);
  if (part) intoView([part]);
  if (focus && part) part.focus({ preventScroll: true });
}

function clearSelection() {
  state.chosen = null;
  markRelated(null);
  showNode();
  for (const part of drawn.svg.querySelectorAll(".match")) part.classList.remove("match");
}
