/* What is beside the graph, and what happens at a key or a click. */

/* ── The explanation of a step ──────────────────────────────────────────────────────────────── */

const resultOf = (step) => (step.kind === "value" ? byId.get(step.to).value : step.added ?? step.after);

/** The element whose numbers are shown: the chosen one, or the largest of the result. */
function element(step) {
  const array = resultOf(step);
  const n = size(arrays[array].shape);
  if (state.element != null && state.element < n) return state.element;
  const values = elements(array);
  if (!values) return 0;
  let best = 0;
  for (let i = 1; i < n; i++) if (Math.abs(values[i]) > Math.abs(values[best])) best = i;
  return best;
}

function explain() {
  const step = steps[state.step];
  const target = step.to && byId.get(step.to);
  const parts = [kicker(step)];
  if (step.kind === "given") parts.push(...explainGiven());
  else if (step.kind === "seed") parts.push(...explainSeed(target));
  else parts.push(...(step.kind === "value" ? explainValue(step, target) : explainAdd(step, target)));
  $("explanation").replaceChildren(...parts);
}

function kicker(step) {
  const backward = firstBackward >= 0 && state.step >= firstBackward;
  const forwardSteps = (firstBackward < 0 ? steps.length : firstBackward) - 1;
  const phase = step.kind === "given" ? "start" : backward
    ? `backward pass, ${state.step - firstBackward + 1} of ${steps.length - firstBackward}`
    : `forward pass, ${state.step} of ${forwardSteps}`;
  const maker = byId.get(step.from ?? step.to);
  const scope = maker?.scope.length ? `in ${maker.scope.join(" / ")}` : "";
  const words = [`Step ${state.step} of ${steps.length - 1}`, phase, scope].filter(Boolean);
  return el("p", { class: "kicker" }, words.map((text) => el("span", {}, text)));
}

function explainGiven() {
  const leaves = nodes.filter((node) => node.inputs.length === 0 && node.wanted).length;
  const text = trace.differentiated
    ? "The forward pass computes the values from the inputs. The backward pass computes the gradients " +
      "from the output: each edge adds one contribution, and a tensor that is used twice gets two."
    : `The forward pass computes the values from the inputs. ${data.no_gradients}`;
  return [
    el("h2", {}, "Inputs and parameters"),
    el("p", {}, text),
    el("p", { class: "note" }, `${count(leaves, "tensor")} with requires_grad. `,
      "Press → to step, Space to play, ? for all keys."),
  ];
}

const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

function explainSeed(node) {
  return [
    el("h2", {}, "The gradient of the output with respect to itself is 1"),
    formulaLine([derivative(node.name).html(), " = ", el("span", { class: "result" }, "1")], `∂L/∂${node.name} = 1`),
    el("p", {}, node.name === "L" ? "The backward pass starts here." : ["L is ", linkTo(node.id), ". The backward pass starts here."]),
  ];
}

function formulaLine(content, plain, more = "") {
  return el("p", { class: `formula ${more}`, role: "math", "aria-label": plain }, content);
}

function explainValue(step, node) {
  const look = named(step.vars, node);
  const parts = [
    el("h2", {}, node.name, el("span", { class: "muted" }, ` computed by ${node.primitive}`)),
    formulaLine([el("i", {}, node.name), " = ", inHtml(step.formula, look), aside(node)], `${node.name} = ${inText(step.formula, look)}`),
  ];
  parts.push(...numbersOf(step, node, node.name));
  parts.push(el("div", { class: "matrices" }, matrix(node.value, { caption: "value", pick: step })));
  return parts;
}

const aside = (node) => (node.params && node.primitive !== "getitem" ? el("span", { class: "note" }, `  ${node.params}`) : "");

function explainAdd(step, node) {
  const from = byId.get(step.from);
  const look = named(step.vars, from);
  const sumOf = step.summed ? "Σ " : "";
  const { arrived, of } = gradientAt(step.to, state.step);
  const parts = [
    el("h2", {}, "Backward through ", from.primitive, el("span", { class: "muted" }, ` to ${node.name}`)),
    formulaLine(
      [derivative(node.name).html(), " += ", sumOf, inHtml(step.formula, look)],
      `∂L/∂${node.name} += ${sumOf}${inText(step.formula, look)}`,
    ),
    ...numbersOf(step, node, `∂L/∂${node.name}`),
    el("p", { class: "note" }, where(step, from, node)),
  ];
  for (const note of notes(step, from, node)) parts.push(el("p", {}, note));
  if (of > 1) parts.push(el("p", {}, `Contribution ${arrived} of ${of}: ${node.name} is used ${of} times, and the contributions add up.`));
  parts.push(additions(step, arrived, of));
  const result = closed(step.to, arrived === of);
  if (result) parts.push(result);
  return parts;
}

function where(step, from, node) {
  const use = from.inputs.length > 1 ? `argument ${step.place + 1} of ${from.inputs.length}` : "the argument";
  return [
    linkTo(node.id), ` is ${use} of `, linkTo(from.id), " = ",
    inHtml(from.formula, named(step.vars, from)),
    `. Shapes: ${shapeText(from.shape)} → ${shapeText(node.shape)}.`,
  ];
}

function notes(step, from, node) {
  const found = [];
  if (step.summed) {
    const axes = step.summed.length === 1 ? `axis ${step.summed[0]}` : `axes ${step.summed.join(", ")}`;
    const full = shapeText(arrays[step.from_rule].shape);
    found.push(`${node.name} was broadcast from ${shapeText(node.shape)} to ${full}, so its gradient is the sum over ${axes}.`);
  }
  if (from.primitive === "getitem") {
    const moves = elements(step.moves);
    const places = moves && [...new Set(moves)].slice(0, 8).map((flat) => place(flat, node.shape));
    const more = moves && new Set(moves).size > 8 ? ", …" : "";
    const twice = moves && new Set(moves).size < moves.length ? " A place that the index names more than once gets the sum." : "";
    const to = places ? places.join(", ") + more : "the places of the index";
    found.push(`The index ${from.params} scatters: the gradient goes to ${to}, and 0 to all others.${twice}`);
  }
  return found;
}

function numbersOf(step, node, left) {
  const flat = element(step);
  const n = size(node.shape);
  const { plain } = inNumbers(step, flat);
  const at = place(flat, node.shape);
  const cut = plain.lastIndexOf("= ");
  const sign = step.kind === "add" ? " += " : " ";
  const lead = step.kind === "add" ? plain.slice(2, cut) : plain.slice(0, cut);
  const shown = cut > 0
    ? [left, el("sub", {}, at), sign, raised(lead), el("span", { class: "result" }, plain.slice(cut))]
    : [left, el("sub", {}, at), step.kind === "add" ? " += " : " = ", el("span", { class: "result" }, plain.slice(2))];
  const line = formulaLine(shown, `${left}${at} ${plain}`, "numbers");
  if (n < 2) return [line];
  const turn = (by) => { choose((flat + by + n) % n); };
  const picker = el("p", { class: "element" }, `element ${flat + 1} of ${n}`,
    el("button", { "aria-label": "Previous element", onclick: () => turn(-1) }, "‹"),
    el("button", { "aria-label": "Next element", title: "Next element (e)", onclick: () => turn(1) }, "›"));
  return [line, picker];
}

/** Plain text with what follows a ^ raised. */
function raised(text) {
  return text.split(/(\^\([^)]*\)|\^[^\s)]+)/).map((part) => (part[0] === "^" ? el("sup", {}, part.slice(1).replace(/^\((.*)\)$/, "$1")) : part));
}

function choose(flat) {
  state.element = flat;
  const focused = document.activeElement?.getAttribute("aria-label");
  explain();
  markStep(steps[state.step]);
  if (focused?.endsWith("element")) $("explanation").querySelector(`[aria-label="${focused}"]`)?.focus();
}

/** before + added = after, as matrices. */
function additions(step, arrived, of) {
  const scatters = step.form === "moves" && byId.get(step.from).primitive === "getitem";
  const hits = scatters ? step.moves : null;
  const added = matrix(step.added, { caption: "this contribution", gradient: true, pick: step, hits });
  const parts = step.before == null
    ? [added]
    : [matrix(step.before, { caption: "so far", gradient: true }), el("span", { class: "sign" }, "+"), added,
       el("span", { class: "sign" }, "="), matrix(step.after, { caption: arrived === of ? "gradient" : "sum so far", gradient: true })];
  if (step.summed) {
    const caption = "from the rule, before the sum";
    parts.unshift(matrix(step.from_rule, { caption, gradient: true }), el("span", { class: "sign" }, "→"));
  }
  return el("div", { class: "matrices" }, parts);
}

/** At the logits: softmax − one-hot beside the gradient from backprop. */
function closed(id, complete) {
  const logits = trace.logits.find((l) => l.node === id);
  if (!logits || !complete) return null;
  const node = byId.get(id);
  const columns = node.shape.at(-1);
  const values = elements(logits.softmax);
  const over = logits.rows > 1 ? ` / ${logits.rows}` : "";
  const box = el("div", { class: "closed", role: "note", "aria-label": "the closed form" },
    el("h2", {}, `Result: softmax ${MINUS} one-hot${logits.rows > 1 ? `, divided by ${logits.rows} rows` : ""}`),
    el("p", {}, "No rule contains it: it is the sum of the contributions. The closed form, computed independently, agrees."));
  if (values) {
    const many = Math.min(columns, 10);
    const flat = element(steps[state.step]);
    const start = Math.floor((flat < values.length ? flat : 0) / columns) * columns;
    const row = (name, array, more = "") => el("tr", { class: more }, el("th", { scope: "row" }, name),
      Array.from({ length: many }, (_, i) => el("td", {}, number(elements(array)[start + i]))), columns > many && el("td", {}, "…"));
    box.append(el("div", { class: "scroll" }, el("table", {},
      row(`softmax(${node.name})`, logits.softmax), row(`${MINUS} one-hot`, logits.one_hot),
      row(`closed form (p ${MINUS} y)${over}`, logits.closed, "total"), row("backprop", node.gradient, "total"),
      row("difference", logits.difference))));
    if (node.shape.length > 1 && node.shape[0] > 1) box.append(el("p", { class: "note" }, `Row ${start / columns} of ${node.shape[0]}.`));
  }
  box.append(el("p", { class: "note" }, `Largest difference: ${number(logits.largest, 2)}.`));
  return box;
}

/* ── Matrices ───────────────────────────────────────────────────────────────────────────────── */

function matrix(arrayNumber, { caption = "", gradient = false, pick = null, hits = null, all = false } = {}) {
  const array = arrays[arrayNumber];
  const values = elements(arrayNumber);
  const words = `${caption}${array.shape.length ? `, ${shapeText(array.shape)}` : ""}`;
  const figure = el("figure", { class: gradient ? "gradient" : "" }, el("figcaption", {}, words));
  if (array.picture && size(array.shape) > 30) {
    const alt = `heat map, ${array.span}, blue below zero, orange above`;
    figure.append(el("img", { src: array.picture, alt, width: Math.min(array.shape.at(-1), 16) * 9 }), el("figcaption", {}, array.span));
  }
  if (!values) {
    figure.append(el("p", { class: "note" }, "too large to be written out here"));
    return figure;
  }
  if (!values.length) return figure;
  const columns = array.shape.at(-1) ?? 1;
  const rows = values.length / columns;
  const whole = all || values.length <= MOST_CELLS;
  const shownRows = whole ? rows : Math.min(rows, 12);
  const shownColumns = whole ? columns : Math.min(columns, 12);
  const chosen = pick ? element(pick) : -1;
  const marked = hits == null ? null : new Set(elements(hits));
  const body = el("table", { class: "matrix" });
  for (let i = 0; i < shownRows; i++) {
    const row = el("tr");
    for (let j = 0; j < shownColumns; j++) {
      const flat = i * columns + j;
      const value = values[flat];
      const several = values.length > 1;
      const odd = typeof value === "number" && !Number.isFinite(value);
      const names = [pick && "pick", flat === chosen && several && "chosen", marked?.has(flat) && "hit", odd && "odd"];
      row.append(el("td", {
        class: names.filter(Boolean).join(" "),
        "data-flat": pick ? flat : null,
        title: several ? place(flat, array.shape) : null,
      }, number(value)));
    }
    body.append(row);
  }
  if (pick) body.addEventListener("click", (event) => { const cell = event.target.closest("td"); if (cell) choose(Number(cell.dataset.flat)); });
  const scrolls = values.length > 30 ? { tabindex: "0", role: "group", "aria-label": words } : {};
  figure.append(el("div", { class: "scroll", ...scrolls }, body));
  if (!whole) {
    const onclick = () => figure.replaceWith(matrix(arrayNumber, { caption, gradient, pick, hits, all: true }));
    figure.append(el("button", { onclick }, `Show all ${values.length.toLocaleString("en")} elements`));
  }
  return figure;
}

/* ── The tensor ─────────────────────────────────────────────────────────────────────────────── */

function linkTo(id) {
  return el("button", { class: "link", onclick: () => { choosePart(id, true); } }, byId.get(id).name);
}

const links = (ids) => (ids.length ? el("ul", { class: "links" }, ids.map((id) => el("li", {}, linkTo(id)))) : "none");

const KINDS = { intermediate: "computed" };

function showNode() {
  const id = state.chosen ?? steps[state.step].to ?? trace.outputs[0];
  const node = byId.get(id);
  const known = valueStep.get(id) <= state.step;
  const { array, arrived, of } = gradientAt(id, state.step);
  const rows = [];
  const row = (name, ...content) => rows.push(el("dt", {}, name), el("dd", {}, content));
  row("shape", `${shapeText(node.shape)}, ${node.dtype}`);
  if (node.formula) {
    row("computed by", `${node.primitive}: `, el("i", {}, node.name), " = ", inHtml(node.formula, named(varsOf(node), node)), aside(node));
    const look = named({ ...varsOf(node), g: { name: node.name } }, node);
    node.rules.forEach((rule, i) => {
      if (!rule || !byId.get(node.inputs[i])?.wanted) return;
      row(node.rules.length > 1 ? `rule for ${inputName(node, i)}` : "rule", inHtml(rule, look));
    });
  } else row("leaf", `${node.wanted ? "a parameter" : node.kind === "constant" ? "a constant" : "an input"}`);
  row("inputs", links([...new Set(node.inputs)]));
  row("used by", links(consumers.get(id)));
  if (node.scope.length) row("scope", node.scope.join(" / "));
  if (node.line) row("line", el("code", {}, node.line));
  if (node.label && node.label !== node.name) row("name", node.label);
  const parts = [el("h2", {}, node.name, el("span", { class: "muted" }, ` ${KINDS[node.kind] ?? node.kind}`)), el("dl", {}, rows)];
  if (known) parts.push(el("div", { class: "matrices" }, matrix(node.value, { caption: "value" })), statistics(node.value));
  else parts.push(el("p", { class: "note" }, "Its value is not computed yet at this step."));
  if (array != null) {
    const words = arrived < of ? `gradient after ${arrived} of ${of} contributions` : "gradient";
    parts.push(el("div", { class: "matrices" }, matrix(array, { caption: words, gradient: true })), statistics(array));
    const result = closed(id, arrived === of);
    if (result && steps[state.step].to !== id) parts.push(result);
  } else if (trace.differentiated) parts.push(el("p", { class: "note" }, noGradient(node, of)));
  $("node").replaceChildren(...parts);
  $("latex-of").textContent = node.name;
}

function noGradient(node, of) {
  if (!node.wanted) return "It requires no gradient.";
  if (of) return "No gradient has arrived yet at this step.";
  return "No gradient reaches it: not zero, but none. No differentiable path leads from it to the output.";
}

const varsOf = (node) => (steps[valueStep.get(node.id)].kind === "value" ? steps[valueStep.get(node.id)].vars : {});
const inputName = (node, i) => byId.get(node.inputs[i])?.name ?? `argument ${i + 1}`;

function statistics(arrayNumber) {
  const array = arrays[arrayNumber];
  if (!("min" in array) || size(array.shape) < 4) return "";
  const parts = [`min ${number(array.min)}`, `max ${number(array.max)}`, `mean ${number(array.mean)}`, `std ${number(array.std)}`];
  if (array.zeros) parts.push(count(array.zeros, "zero"));
  for (const what of ["nan", "inf"]) if (array[what]) parts.push(`${array[what]} ${what}`);
  return el("p", { class: "note" }, parts.join(", "));
}

/* ── Stepping ───────────────────────────────────────────────────────────────────────────────── */

function go(step, { keepHash = false } = {}) {
  step = Math.min(Math.max(step, 0), steps.length - 1);
  if (step === state.step) return;
  state.step = step;
  state.element = null;
  drawn.svg.classList.remove("related");
  showBoxes(step);
  markStep(steps[step]);
  explain();
  showNode();
  follow();
  $("slider").value = step;
  $("slider").setAttribute("aria-valuetext", `${step} of ${steps.length - 1}: ${inWords(steps[step])}`);
  $("counter").textContent = `step ${step} of ${steps.length - 1}`;
  for (const id of ["first", "back"]) $(id).disabled = step === 0;
  for (const id of ["forward", "last"]) $(id).disabled = step === steps.length - 1;
  if ($("steps").open) markListed();
  if (!keepHash) try { history.replaceState(null, "", `#step=${step}`); } catch { /* not in every frame */ }
}

function inWords(step) {
  if (step.kind === "given") return "inputs and parameters";
  const node = byId.get(step.to);
  if (step.kind === "seed") return `∂L/∂${node.name} = 1`;
  const at = place(element(step), node.shape);
  const { plain } = inNumbers(step, element(step));
  const formula = inText(step.formula, named(step.vars, byId.get(step.from ?? step.to)));
  const name = step.kind === "value" ? node.name : `∂L/∂${node.name}`;
  const sign = step.kind === "value" ? "=" : "+=";
  return `${name} ${sign} ${step.summed ? "Σ " : ""}${formula}${at ? `, at ${at}` : ""} ${plain}`;
}

function play(on) {
  clearInterval(state.playing);
  state.playing = on ? setInterval(() => { go(state.step + 1); if (state.step === steps.length - 1) play(false); }, 1300) : 0;
  document.body.classList.toggle("playing", Boolean(on));
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (on) { if (state.step === steps.length - 1) go(0); else go(state.step + 1); }
}

const togglePlay = () => play(!state.playing);
const byHand = (step) => { play(false); go(step); };

function fromAddress() {
  const found = /step=(\d+)/.exec(location.hash);
  if (found) go(Number(found[1]), { keepHash: true });
  return Boolean(found);
}

/** Links within the page: by hand, since in a notebook's frame they would lead out of it. */
function followLink(event) {
  const target = event.target.closest?.('a[href^="#"]')?.getAttribute("href");
  if (!target) return;
  event.preventDefault();
  const step = /step=(\d+)/.exec(target);
  if (step) byHand(Number(step[1]));
  else $(target.slice(1))?.focus();
}

function listSteps() {
  const list = $("steps").querySelector("ol");
  if (!list.children.length) list.append(...steps.map((step, i) => el("li", {}, el("a", { href: `#step=${i}` }, inWords(step)))));
  markListed();
}

function markListed() {
  const items = $("steps").querySelectorAll("li");
  items.forEach((item, i) => { if (i === state.step) item.setAttribute("aria-current", "step"); else item.removeAttribute("aria-current"); });
}

/* ── Finding ────────────────────────────────────────────────────────────────────────────────── */

const finding = { matches: [], at: -1 };

function find() {
  const wanted = $("search").value.trim().toLowerCase();
  const matches = (node) => [node.name, node.label, node.primitive ?? ""].some((text) => text.toLowerCase().includes(wanted));
  finding.matches = wanted ? nodes.filter(matches) : [];
  finding.at = -1;
  for (const part of drawn.svg.querySelectorAll(".match")) part.classList.remove("match");
  for (const node of finding.matches) partFor(node.id)?.classList.add("match");
  $("found").textContent = wanted ? count(finding.matches.length, "match").replace("matchs", "matches") : "";
  const first = finding.matches.length && partFor(finding.matches[0].id);
  if (first) intoView([first]);
}

function nextMatch() {
  if (!finding.matches.length) return;
  finding.at = (finding.at + 1) % finding.matches.length;
  $("found").textContent = `${finding.at + 1} of ${finding.matches.length}`;
  const { id } = finding.matches[finding.at];
  choosePart(id);
}

/* ── Export ─────────────────────────────────────────────────────────────────────────────────── */

const chosenNode = () => byId.get(state.chosen ?? steps[state.step].to ?? trace.outputs[0]);

function picture() {
  const svg = drawn.svg.cloneNode(true);
  const [width, height] = natural();
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.classList.remove("related");
  const style = svgEl("style", {});
  style.textContent = $("graph-css").textContent;
  svg.prepend(style);
  return new XMLSerializer().serializeToString(svg);
}

const EXPORTS = {
  dot: () => [files.dot, "text/vnd.graphviz"],
  svg: () => [picture(), "image/svg+xml"],
  tex: () => [chosenNode().latex || `% no gradient: no differentiable path from ${chosenNode().id} to L`, "text/x-tex"],
  json: () => [JSON.stringify(data.trace, (key, value) => (key === "elements" ? undefined : value), 1), "application/json"],
};

function save(kind) {
  const [text, type] = EXPORTS[kind]();
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: `${files.name}.${kind}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  $("exported").textContent = `${files.name}.${kind}`;
}

async function copy(kind) {
  const [text] = EXPORTS[kind]();
  try {
    await navigator.clipboard.writeText(text);
  } catch { // not allowed here: the old way
    const area = el("textarea", {});
    area.value = text;
    $("export").append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  $("exported").textContent = "Copied.";
}

/* ── Keys, clicks ───────────────────────────────────────────────────────────────────────────── */

const KEYS = {
  ArrowRight: () => byHand(state.step + 1),
  ArrowLeft: () => byHand(state.step - 1),
  Home: () => byHand(0),
  End: () => byHand(steps.length - 1),
  " ": togglePlay,
  "/": () => $("search").focus(),
  f: () => zoom(fitting()),
  "+": () => zoom(drawn.scale * 1.25),
  "=": () => zoom(drawn.scale * 1.25),
  "-": () => zoom(drawn.scale / 1.25),
  c: () => toggleScopes(document.activeElement?.dataset.id),
  e: () => $("explanation").querySelector('[aria-label="Next element"]')?.click(),
  "?": () => $("help").showModal(),
  Escape: clearSelection,
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const target = event.target;
  const part = target.closest?.("#view [data-id]");
  if (target.matches?.("input[type=search]")) {
    if (event.key === "Enter") nextMatch();
    else if (event.key === "Escape") { target.value = ""; find(); clearSelection(); target.blur(); }
    return;
  }
  if (part && (event.key === "Enter" || (event.key === " " && isScope(part)))) {
    event.preventDefault();
    return press(part);
  }
  if (event.key === " " && target.matches?.("button, summary, a")) return;
  if (event.key === "Escape" && $("export").open) { $("export").open = false; return; }
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

const isScope = (part) => part.matches(".scope, .folded");

function press(part) {
  const id = part.dataset.id;
  if (isScope(part)) toggleScopes(id);
  else if (byId.has(id)) choosePart(id);
  else choosePart(`t${id.slice(1)}`); // a primitive: what it has made
}

function onHover(event) {
  const part = event.target.closest?.("[data-id]");
  const node = part && byId.get(part.dataset.id);
  const tip = $("tip");
  tip.hidden = !node;
  if (state.chosen == null) markRelated(node ? node.id : null);
  if (!node) return;
  const known = valueStep.get(node.id) <= state.step;
  const { array, arrived, of } = gradientAt(node.id, state.step);
  tip.textContent = describe(node, known, array, arrived, of);
  const frame = view.parentElement.getBoundingClientRect();
  const box = part.getBoundingClientRect();
  const below = box.bottom - frame.top + 6;
  tip.style.left = `${Math.min(Math.max(box.left - frame.left, 4), frame.width - tip.offsetWidth - 4)}px`;
  tip.style.top = `${below + tip.offsetHeight > frame.height ? Math.max(box.top - frame.top - tip.offsetHeight - 6, 4) : below}px`;
}

function dragging() {
  let from = null;
  view.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    from = { x: event.clientX + view.scrollLeft, y: event.clientY + view.scrollTop, moved: false };
  });
  window.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = [from.x - event.clientX, from.y - event.clientY];
    if (Math.hypot(x - view.scrollLeft, y - view.scrollTop) > 4) from.moved = true;
    if (from.moved) { view.classList.add("dragging"); view.scrollLeft = x; view.scrollTop = y; }
  });
  window.addEventListener("pointerup", () => {
    view.classList.remove("dragging");
    if (from?.moved) view.addEventListener("click", (event) => event.stopPropagation(), { capture: true, once: true });
    setTimeout(() => { from = null; });
    from = null;
  });
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(drawn.scale * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
  }, { passive: false });
}

function start() {
  attachSvg(first, 0);
  if (layouts.length < 2) $("fold").hidden = true;
  else $("fold").textContent = layouts[0].folded.length ? "Open all" : "Fold all";
  $("slider").max = steps.length - 1;
  const forward = firstBackward < 0 ? steps.length : firstBackward;
  $("phase-forward").style.flex = forward;
  $("phase-backward").style.flex = steps.length - forward;
  $("phase-backward").hidden = firstBackward < 0;
  zoomAtFirst();
  if (!fromAddress()) go(0, { keepHash: true });

  $("slider").addEventListener("input", () => byHand(Number($("slider").value)));
  $("first").addEventListener("click", KEYS.Home);
  $("last").addEventListener("click", KEYS.End);
  $("back").addEventListener("click", KEYS.ArrowLeft);
  $("forward").addEventListener("click", KEYS.ArrowRight);
  $("play").addEventListener("click", togglePlay);
  $("fit").addEventListener("click", KEYS.f);
  $("zoom-in").addEventListener("click", KEYS["+"]);
  $("zoom-out").addEventListener("click", KEYS["-"]);
  $("fold").addEventListener("click", KEYS.c);
  $("help-button").addEventListener("click", KEYS["?"]);
  $("search").addEventListener("input", find);
  $("steps").addEventListener("toggle", () => { if ($("steps").open) listSteps(); });
  for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button.dataset.copy));
  for (const button of document.querySelectorAll("[data-save]")) button.addEventListener("click", () => save(button.dataset.save));
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", followLink);
  view.addEventListener("click", (event) => { const part = event.target.closest("[data-id]"); if (part) press(part); else clearSelection(); });
  view.addEventListener("focusin", (event) => {
    const id = event.target.dataset?.id;
    if (byId.has(id) && event.target.matches(":focus-visible")) choosePart(id);
  });
  view.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") onHover(event); });
  view.addEventListener("pointerleave", () => { $("tip").hidden = true; if (state.chosen == null) markRelated(null); });
  window.addEventListener("hashchange", fromAddress);
  window.addEventListener("beforeprint", () => { listSteps(); $("steps").open = true; });
  dragging();
}

start();
