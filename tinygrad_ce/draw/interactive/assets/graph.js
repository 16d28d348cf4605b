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

/** Whether a tensor is an output that leads to no other: its gradient is 1. */
const isOne = (id) => trace.outputs.includes(id) && gradientSteps.get(id).length === 1;

/** Where the gradient turns out to be softmax − one-hot, and at which step, or null. */
const climax = trace.logits.length
  ? { ...trace.logits[0], step: gradientSteps.get(trace.logits[0].node).at(-1) } : null;

/* ── The picture ────────────────────────────────────────────────────────────────────────────── */

const view = $("view");
const LEGIBLE = 0.75;
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
  const across = ["LR", "RL"].includes(layouts[layout].direction);
  $("direction").textContent = across ? "Top-down" : "Left to right";
  const [, , width, height] = viewBox();
  document.body.classList.toggle("wide", width > 1.4 * height); // on paper
  zoom(Math.max(fitting(), LEGIBLE)); // all of the graph if it is legible then
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
    part.classList.remove("active", "from");
  drawn.svg.querySelector(".callouts").replaceChildren();
}

/** Mark what the step is about, and write what it adds at the edge along which it comes. */
function markStep() {
  const step = steps[state.step];
  clearMarks();
  drawn.svg.classList.toggle("backward", firstBackward >= 0 && state.step >= firstBackward);
  const mark = (part, name) => part?.classList.add(name);
  if (step.kind === "given") return;
  if (step.kind === "seed") return mark(partFor(step.to), "active");
  const forth = step.kind === "value";
  const maker = makerOf(forth ? step.to : step.from);
  const inputs = byId.get(step.to).inputs;
  const uses = forth ? inputs.map((_, i) => `${maker}.${i}`) : [`${maker}.${step.place}`];
  for (const use of [...uses, `${maker}.y`])
    mark(drawn.edges.get(use), "active");
  for (const source of forth ? inputs : [step.from]) mark(partFor(source), "from");
  mark(partFor(maker), "active");
  mark(partFor(step.to), "active");
  if (climax && [climax.step, steps.length - 1].includes(state.step)) addClimax();
  if (!forth && state.step !== climax?.step)
    addStepCallout(drawn.edges.get(uses[0]) ?? drawn.edges.get(`${maker}.y`), step);
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
const viewBox = () => drawn.svg.getAttribute("viewBox").split(" ").map(Number);

/** Where a part is, in the units of the picture. */
function placeOf(part) {
  const { x, y, width, height } = part.getBBox();
  const move = part.transform.baseVal.consolidate()?.matrix;
  return { x: x + (move?.e ?? 0), y: y + (move?.f ?? 0), width, height };
}

/** Where boxes, ovals, and the words beside them are, in the units of the picture. */
function obstacles() {
  const parts = drawn.svg.querySelectorAll(
    ".tensor, .primitive, .folded, .scope > text, .edge > text");
  drawn.obstacles ??= Array.from(parts, placeOf);
  return drawn.obstacles;
}

const touch = (a, b, gap) =>
  a.x < b.x + b.width + gap && b.x < a.x + a.width + gap &&
  a.y < b.y + b.height + gap && b.y < a.y + a.height + gap;

/** From a callout to what it is about, which is a point or a box: the shortest way. */
function shortestWay(box, anchor) {
  const center = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const nearest = (point, { x, y, width, height }) =>
    ({ x: clamp(point.x, x, x + width), y: clamp(point.y, y, y + height) });
  const end = nearest(center, anchor);
  return [nearest(end, box), end];
}

function crosses([from, to], obstacle) {
  for (let share = 0.1; share < 1; share += 0.2) {
    const x = from.x + share * (to.x - from.x);
    const y = from.y + share * (to.y - from.y);
    if (touch({ x, y, width: 0, height: 0 }, obstacle, 0)) return true;
  }
  return false;
}

const FARTHEST = 600; // that a callout can be from what it is about

const pen = document.createElement("canvas").getContext("2d");

/** How wide lines are: measured without the page, which would have to be laid out for it. */
function widthOf(lines, isClimax) {
  return Math.max(...lines.map(([kind, line], i) => {
    const face = kind === "row" ? "10px 'DejaVu Sans Mono', Menlo, Consolas, monospace"
      : "10.5px Helvetica, Arial, 'Liberation Sans', sans-serif";
    pen.font = isClimax && !i ? `bold ${face}` : face;
    return pen.measureText(line).width;
  }));
}

/** The nearest place for a label of some size where neither it nor its line hides anything. */
function freePlace(anchor, width, height, taken) {
  const [left, top, wide, high] = viewBox();
  const others = [...obstacles(), ...taken].filter((other) => touch(other, anchor, FARTHEST + width));
  for (let away = 12; away < FARTHEST; away += 10)
    for (let turn = 0; turn < 16; turn++) {
      const angle = ((turn + 4) % 16) * (Math.PI / 8); // below comes first
      const place = (at, size, direction, own) => at + size / 2 - own / 2 +
        direction * (away + size / 2 + own / 2);
      const box = {
        x: place(anchor.x, anchor.width, Math.cos(angle), width),
        y: place(anchor.y, anchor.height, Math.sin(angle), height),
        width, height,
      };
      const inside = box.x > left && box.y > top &&
        box.x + width < left + wide && box.y + height < top + high;
      if (!inside || others.some((other) => touch(box, other, 3))) continue;
      const way = shortestWay(box, anchor);
      if (!others.some((other) => crosses(way, other))) return { box, way };
    }
  return null;
}

/** Write lines beside something, joined to it, where they hide no name and no number. */
function addCallout(anchor, lines, kind = "") {
  const callouts = drawn.svg.querySelector(".callouts");
  const taken = Array.from(callouts.querySelectorAll("rect"), (rect) => rect.getBBox());
  const width = widthOf(lines, kind === "climax") + 14;
  const found = freePlace(anchor, width, 14 * lines.length + 6, taken);
  if (!found) return;
  const { box, way } = found;
  const group = svgEl("g", { class: `callout ${kind}` });
  group.append(
    svgEl("path", { d: `M${way.map(({ x, y }) => `${x} ${y}`).join("L")}` }),
    svgEl("rect", { ...box, rx: 4 }),
    ...lines.map(([kind, line], i) =>
      svgEl("text", { class: kind, x: box.x + 7, y: box.y + 14 + 14 * i }, line)),
  );
  callouts.append(group);
}

/** What a step adds, at the edge along which it comes. */
function addStepCallout(edge, step) {
  if (!edge) return;
  const { formula, plain, total } = say(step);
  const short = (text, end = "") =>
    text.length > 40 ? `${text.slice(0, 38 - end.length)}…${end}` : text;
  const [x, y] = edge.dataset.at.split(" ").map(Number);
  const anchor = { x, y, width: 0, height: 0 };
  addCallout(anchor, [["", short(`+= ${formula}`)], ["", short(plain, ` = ${total}`)]]);
}

/** Beside the logits: what their gradient turns out to be. */
function addClimax() {
  const part = partFor(climax.node);
  if (!part) return;
  const { columns } = climaxRow(0);
  const lines = [["", `gradient = ${inShort()}`]];
  if (columns && columns.length <= 5 && climax.rows === 1) {
    const cells = columns.map(({ p, y, g }) => [p, y && `${MINUS}${y}`, g].map((v) => `${v}`));
    const widths = cells.map((column) => Math.max(...column.map((text) => text.length)));
    ["p    ", `${MINUS} y  `, "sum  "].forEach((name, i) => lines.push(
      ["row", name + cells.map((column, j) => column[i].padStart(widths[j])).join("  ")]));
  }
  addCallout(placeOf(part), lines, "climax");
}

/** Scroll the view, and only the view, so that the marked parts are in it, or those that count. */
function follow() {
  const marked = (selector) => [...drawn.svg.querySelectorAll(selector)];
  const fits = (parts) => {
    const boxes = parts.map((part) => part.getBoundingClientRect());
    const span = (start, end) => Math.max(...boxes.map((box) => box[end])) -
      Math.min(...boxes.map((box) => box[start]));
    return span("left", "right") < view.clientWidth && span("top", "bottom") < view.clientHeight;
  };
  const target = [partFor(steps[state.step].to ?? trace.outputs[0])].filter(Boolean);
  const choices = [
    marked(":is(.tensor, .folded):is(.active, .from), .callout"),
    [...target, ...marked(".callout")],
  ];
  intoView(choices.find((parts) => parts.length && fits(parts)) ?? target);
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
  hintAtTheRest();
}

function fitting(most = 1.6) {
  const [, , width, height] = viewBox();
  return Math.min((view.clientWidth - 4) / width, (view.clientHeight - 4) / height, most);
}

/** Say so where the graph goes on beyond the view. */
function hintAtTheRest() {
  const beyond = (start, shown, all) => [start > 8, start + shown < all - 8];
  const [left, right] = beyond(view.scrollLeft, view.clientWidth, view.scrollWidth);
  const [above, below] = beyond(view.scrollTop, view.clientHeight, view.scrollHeight);
  const arrows = [left && "←", right && "→", above && "↑", below && "↓"].filter(Boolean).join(" ");
  $("hint").hidden = !arrows;
  $("hint").textContent = `${arrows} drag to see the rest`;
}

/* ── Scopes ─────────────────────────────────────────────────────────────────────────────────── */

const first = view.querySelector("svg");
const parse = (svg) => document.importNode(
  new DOMParser().parseFromString(svg, "image/svg+xml").documentElement, true);

/** Show another layout of the graph. */
function showLayout(i, focus) {
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

/** The layout that differs from the one that is shown in its direction, or in what is folded. */
function otherLayout(turned) {
  const { direction, folded } = layouts[drawn.layout];
  return layouts.findIndex((other) => turned === (other.direction !== direction) &&
    turned === (String(other.folded) === String(folded)));
}

function switchLayout(turned, focus) {
  const i = otherLayout(turned);
  if (i >= 0) showLayout(i, focus);
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
