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
for (const node of nodes)
  for (const input of new Set(node.inputs)) consumers.get(input).push(node.id);

/** Of a tensor at a step: the number of its gradient so far, and how many contributions are in. */
function gradientAt(id, step) {
  const all = gradientSteps.get(id);
  let arrived = 0;
  while (arrived < all.length && all[arrived] <= step) arrived++;
  return { array: arrived ? steps[all[arrived - 1]].after : null, arrived, of: all.length };
}

/* ── The picture ────────────────────────────────────────────────────────────────────────────── */

const view = $("view");
const drawn = { scale: 1, layout: 0 };
const state = { step: -1, chosen: null, element: null, playing: 0, dragged: 0 };

function attachSvg(svg, layout) {
  const [parts, edges] = [new Map(), new Map()];
  Object.assign(drawn, { svg, layout, parts, edges, state: new Map(), obstacles: null });
  for (const part of svg.querySelectorAll("[data-id]")) {
    parts.set(part.dataset.id, part);
    if (part.matches('[role="button"]')) part.setAttribute("tabindex", "0");
  }
  for (const edge of svg.querySelectorAll("[data-uses]"))
    for (const use of edge.dataset.uses.split(" ")) edges.set(use, edge);
  $("fold").textContent = layouts[layout].folded.length ? "Open all" : "Fold all";
  zoom(Math.max(fitting(), 0.8)); // all of the graph if it is legible then
}

const isKnown = (node) => valueStep.get(node.id) <= state.step;
const makerOf = (id) => `p${id.slice(1)}`;

/** The part of the picture that shows a tensor or primitive: itself, or the scope it is in. */
const partFor = (id) =>
  drawn.parts.get(id) ?? drawn.parts.get(layouts[drawn.layout].folded_into[id]);

function showNumbers(group, array) {
  const values = array == null ? null : elements(array);
  for (const [i, text] of group.querySelectorAll(".number").entries())
    text.textContent = values ? number(values[i]) : "";
  const picture = group.querySelector("image");
  if (picture && array != null) {
    picture.setAttribute("href", arrays[array].picture);
    group.querySelector(".span").textContent = arrays[array].span;
  }
}

/** Bring the boxes to the step; only those whose state differs are touched. */
function showBoxes() {
  const { step } = state;
  const ended = step >= steps.length - 1;
  for (const node of nodes) {
    const part = drawn.parts.get(node.id);
    if (!part && node.inputs.length === 0) continue;
    const known = isKnown(node);
    const { array, arrived, of } = gradientAt(node.id, step);
    const now = `${known} ${arrived} ${ended && !of}`;
    if (drawn.state.get(node.id) === now) continue;
    drawn.state.set(node.id, now);
    for (const shown of [part, drawn.parts.get(makerOf(node.id))])
      shown?.classList.toggle("pending", !known);
    part?.setAttribute("aria-label", describe(node));
    const group = part?.querySelector(".grad");
    if (!group) continue;
    group.classList.toggle("pending", !arrived && !(ended && !of));
    group.classList.toggle("partial", arrived > 0 && arrived < of);
    if (of) showNumbers(group, array); // else a word says that none arrives
    const label = group.querySelector(".label");
    if (label) label.textContent = arrived && arrived < of ? `${arrived} of ${of}` : "grad";
  }
}

/** A tensor at the step that is shown, in words. */
function describe(node) {
  const { array, arrived, of } = gradientAt(node.id, state.step);
  const parts = [`${node.name}, ${node.primitive ?? node.kind}, ${shapeText(node.shape)}`];
  parts.push(isKnown(node) ? `value ${brief(node.value)}` : "not computed yet");
  if (array != null) {
    parts.push(`gradient ${brief(array)}`);
    if (arrived < of) parts.push(`${arrived} of ${of} contributions`);
  } else if (node.wanted && trace.differentiated)
    parts.push(of ? "no gradient yet" : "no gradient reaches it");
  return parts.join(", ");
}

function brief(array) {
  const values = elements(array);
  return values?.length <= 6 ? Array.from(values, (v) => number(v)).join(" ") : arrays[array].span;
}

function clearMarks() {
  for (const part of drawn.svg.querySelectorAll(".active, .from"))
    part.classList.remove("active", "from", "forth", "back");
  drawn.svg.querySelector(".callouts").replaceChildren();
}

/** Mark what the step is about, and write what it adds at the edge along which it comes. */
function markStep() {
  const step = steps[state.step];
  clearMarks();
  const mark = (part, ...names) => part?.classList.add(...names);
  if (step.kind === "given") return;
  if (step.kind === "seed") return mark(partFor(step.to), "active");
  const forth = step.kind === "value";
  const maker = makerOf(forth ? step.to : step.from);
  const inputs = byId.get(step.to).inputs;
  const uses = forth ? inputs.map((_, i) => `${maker}.${i}`) : [`${maker}.${step.place}`];
  for (const use of [...uses, `${maker}.y`])
    mark(drawn.edges.get(use), "active", forth ? "forth" : "back");
  for (const source of forth ? inputs : [step.from]) mark(partFor(source), "from");
  mark(partFor(maker), "active");
  mark(partFor(step.to), "active");
  if (!forth) addCallout(drawn.edges.get(uses[0]) ?? drawn.edges.get(`${maker}.y`), step);
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
const viewBox = () => drawn.svg.getAttribute("viewBox").split(" ").map(Number);

/** Where the boxes and ovals are, in the units of the picture. */
function obstacles() {
  const parts = drawn.svg.querySelectorAll(".tensor, .primitive, .folded");
  drawn.obstacles ??= Array.from(parts, (part) => {
    const { x, y, width, height } = part.getBBox();
    const move = part.transform.baseVal.consolidate()?.matrix;
    return { x: x + (move?.e ?? 0), y: y + (move?.f ?? 0), width, height };
  });
  return drawn.obstacles;
}

function overlap(a, b) {
  const shared = (at, size) => Math.min(a[at] + a[size], b[at] + b[size]) - Math.max(a[at], b[at]);
  return Math.max(shared("x", "width"), 0) * Math.max(shared("y", "height"), 0);
}

/** The place near a point where a label of some size hides least. */
function freePlace(point, width, height) {
  const [left, top, wide, high] = viewBox();
  let best = null;
  for (const away of [16, 34, 56, 84, 120])
    for (const [dx, dy] of [[0, 1], [0, -1], [0.6, 1], [-0.6, 1], [0.6, -1], [-0.6, -1]]) {
      const [x, y] = [point.x + (dx * 0.8 - 0.5) * width, point.y + dy * away];
      const box = {
        x: clamp(x, left + 2, left + wide - width - 2),
        y: clamp(dy < 0 ? y - height : y, top + 2, top + high - height - 2),
        width, height,
      };
      const hidden = obstacles().reduce((all, other) => all + overlap(box, other), 0);
      const cost = away + Math.abs(dx) * 10 + hidden;
      if (!best || cost < best.cost) best = { ...box, cost };
    }
  return best;
}

function addCallout(edge, step) {
  if (!edge) return;
  const path = edge.querySelector("path");
  const middle = path.getPointAtLength(path.getTotalLength() / 2);
  const { formula, plain, total } = say(step);
  const short = (text, end = "") =>
    text.length > 40 ? `${text.slice(0, 38 - end.length)}…${end}` : text;
  const lines = [short(`+= ${formula}`), short(plain, ` = ${total}`)];
  const width = Math.max(...lines.map((line) => line.length)) * 5.6 + 14;
  const { x: left, y } = freePlace(middle, width, 34);
  const x = left + width / 2;
  const group = svgEl("g", { class: "callout" });
  group.append(
    svgEl("path", { d: `M${middle.x} ${middle.y}L${x} ${y + 17}` }),
    svgEl("rect", { x: left, y, width, height: 34, rx: 4 }),
    ...lines.map((line, i) => svgEl("text", { x, y: y + 14 + 14 * i }, line)),
  );
  drawn.svg.querySelector(".callouts").replaceChildren(group);
}

/** Scroll the view, and only the view, so that the marked parts are in it. */
function follow() {
  const marked = ":is(.tensor, .folded):is(.active, .from), .callout";
  intoView([...drawn.svg.querySelectorAll(marked)]);
}

function intoView(parts) {
  if (!parts.length) return;
  const boxes = parts.map((part) => part.getBoundingClientRect());
  const frame = view.getBoundingClientRect();
  const move = (start, end) => {
    const low = Math.min(...boxes.map((box) => box[start]));
    const high = Math.max(...boxes.map((box) => box[end]));
    const [from, to] = [frame[start], frame[end]];
    if (low >= from + 8 && high <= to - 8) return 0;
    return high - low > to - from - 16 ? low - from - 8 : (low + high - from - to) / 2;
  };
  view.scrollLeft += move("left", "right");
  view.scrollTop += move("top", "bottom");
}

/* ── Zoom ───────────────────────────────────────────────────────────────────────────────────── */

function resize(svg, scale) {
  const [, , width, height] = viewBox();
  svg.setAttribute("width", width * scale);
  svg.setAttribute("height", height * scale);
}

function zoom(scale) {
  const across = (view.scrollLeft + view.clientWidth / 2) / (view.scrollWidth || 1);
  const down = (view.scrollTop + view.clientHeight / 2) / (view.scrollHeight || 1);
  drawn.scale = clamp(scale, 0.05, 8);
  resize(drawn.svg, drawn.scale);
  view.scrollLeft = across * view.scrollWidth - view.clientWidth / 2;
  view.scrollTop = down * view.scrollHeight - view.clientHeight / 2;
}

function fitting(most = 1.6) {
  const [, , width, height] = viewBox();
  const wide = document.body.classList.contains("wide");
  const available = wide ? window.innerHeight * 0.52 : view.clientHeight;
  return Math.min((view.clientWidth - 4) / width, (available - 4) / height, most);
}

/* ── Scopes ─────────────────────────────────────────────────────────────────────────────────── */

const first = view.querySelector("svg");
const parse = (svg) => document.importNode(
  new DOMParser().parseFromString(svg, "image/svg+xml").documentElement, true);

/** Open or fold the scopes: a page has at most two ways to fold them. */
function toggleScopes(focus) {
  if (layouts.length < 2) return;
  const i = 1 - drawn.layout;
  const svg = i ? (layouts[i].drawn ??= parse(layouts[i].svg)) : first;
  clearMarks(); // the layout that is left is kept, and may come back
  markRelated(null);
  view.replaceChildren(svg);
  attachSvg(svg, i);
  showBoxes();
  markStep();
  if (state.chosen) markRelated();
  follow();
  if (focus) drawn.parts.get(focus)?.focus({ preventScroll: true });
}

/* ── Related tensors ────────────────────────────────────────────────────────────────────────── */

function reach(id, next) {
  const found = new Set();
  const todo = [id];
  while (todo.length)
    for (const other of next(todo.pop()).filter((other) => !found.has(other))) {
      found.add(other);
      todo.push(other);
    }
  return found;
}

function markRelated(id = state.chosen) {
  const { svg, edges } = drawn;
  svg.classList.toggle("related", id != null);
  const relations = ["is-related", "chosen", "ancestor", "descendant"];
  const marked = svg.querySelectorAll(".is-related, .chosen");
  for (const part of marked) part.classList.remove(...relations);
  if (id == null) return;
  const before = reach(id, (n) => byId.get(n).inputs);
  const all = new Set([...before, ...reach(id, (n) => consumers.get(n)), id]);
  for (const n of all) {
    const relation = n === id ? "chosen" : before.has(n) ? "ancestor" : "descendant";
    partFor(n)?.classList.add("is-related", relation);
    const node = byId.get(n);
    if (!node.primitive) continue;
    const maker = makerOf(n);
    const uses = node.inputs.map((input, i) => all.has(input) && edges.get(`${maker}.${i}`));
    for (const part of [partFor(maker), edges.get(`${maker}.y`), ...uses])
      if (part) part.classList.add("is-related");
  }
}

function choosePart(id, focus = false) {
  state.chosen = id;
  markRelated();
  showNode();
  const part = partFor(id);
  if (part) intoView([part]);
  if (focus) part?.focus({ preventScroll: true });
}

function clearSelection() {
  state.chosen = null;
  markRelated(null);
  showNode();
  clearMatches();
}

function clearMatches() {
  for (const part of drawn.svg.querySelectorAll(".match")) part.classList.remove("match");
}
