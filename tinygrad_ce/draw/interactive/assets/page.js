/* What is beside the graph, and what happens at a key or a click. */

/* ── The explanation of a step ──────────────────────────────────────────────────────────────── */

const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
const note = (...words) => el("p", { class: "note" }, words);
const muted = (words) => el("span", { class: "muted" }, words);
const strong = (words) => el("span", { class: "result" }, words);
const sign = (words) => el("span", { class: "sign" }, words);
const matrices = (...parts) => el("div", { class: "matrices" }, parts);
const backwardSteps = firstBackward < 0 ? 0 : steps.length - firstBackward;
const forwardSteps = steps.length - backwardSteps;
const touches = matchMedia("(pointer: coarse)").matches;

/** The element whose numbers are shown: the chosen one, or the largest of the result. */
function element(step) {
  const array = step.kind === "value" ? byId.get(step.to).value : step.added ?? step.after;
  if (state.element != null && state.element < size(arrays[array].shape)) return state.element;
  const largest = (best, value, i, all) => (Math.abs(value) > Math.abs(all[best]) ? i : best);
  return elements(array)?.reduce(largest, 0) ?? 0;
}

/** What a step says: what comes to be, its formula, and the numbers of one element. */
function say(step) {
  const node = byId.get(step.to);
  const forth = step.kind === "value";
  const look = named(step.vars ?? {}, byId.get(step.from ?? step.to));
  const flat = element(step);
  const left = forth ? italic(node.name) : derivative(node.name);
  const equals = step.kind === "add" ? " += " : " = ";
  const lead = step.summed ? `${equals}Σ ` : equals;
  const formula = step.formula ?? ["1"];
  return {
    node, left, equals, lead, flat, at: place(flat, node.shape),
    html: [left.html(), lead, inHtml(formula, look)],
    formula: inText(formula, look),
    text: left.text + lead + inText(formula, look),
    ...(step.vars && inNumbers(step, flat)),
  };
}

function explain() {
  const step = steps[state.step];
  const explanations = {
    given: explainGiven, seed: explainSeed, value: explainValue, add: explainAdd,
  };
  const content = explanations[step.kind](step, step.to && say(step));
  $("explanation").replaceChildren(kicker(step), ...content.filter(Boolean));
  fitClasses();
}

function kicker(step) {
  const backward = state.step - forwardSteps;
  const phase = step.kind === "given" ? "start"
    : backward < 0 ? `forward pass, ${state.step} of ${forwardSteps - 1}`
      : `backward pass, ${backward + 1} of ${backwardSteps}`;
  const scope = byId.get(step.from ?? step.to)?.scope ?? [];
  const words = [`Step ${state.step} of ${steps.length - 1}`, phase];
  if (scope.length) words.push(`in ${scope.join(" / ")}`);
  return el("p", { class: "kicker" }, words.map((text) => el("span", {}, text)));
}

function explainGiven() {
  const leaves = nodes.filter((node) => node.inputs.length === 0 && node.wanted).length;
  const backward = trace.differentiated
    ? "The backward pass computes the gradients from the output: each edge adds one " +
      "contribution, and a tensor that is used twice gets two."
    : data.no_gradients;
  const how = touches ? "Swipe here to step, pinch the graph to zoom."
    : "Press → to step, Space to play, ? for all keys.";
  return [
    climax && explainClimax(),
    el("h2", {}, "Inputs and parameters"),
    el("p", {}, `The forward pass computes the values from the inputs. ${backward}`),
    note(`${count(leaves, "tensor")} with requires_grad. ${how}`),
  ];
}

function explainSeed(step, { node, left, text }) {
  const name = () => el("i", {}, node.name);
  return [
    el("h2", {}, "The gradient of the output with respect to itself is 1"),
    formulaLine([left.html(), " = ", strong("1")], text),
    el("p", {}, "The backward pass starts here: L is ", linkTo(node.id), ", and where ", name(),
      " grows by some amount, L grows by the same."),
  ];
}

function formulaLine(content, plain, more = "") {
  return el("p", { class: `formula ${more}`, role: "math", "aria-label": plain }, content);
}

function explainValue(step, said) {
  const { node, html, text } = said;
  return [
    el("h2", {}, node.name, muted(` computed by ${node.primitive}`)),
    formulaLine([html, aside(node)], text),
    ...numbersOf(said),
    matrices(matrix(node.value, { caption: "value", pick: step })),
  ];
}

const aside = (node) => node.params && node.primitive !== "getitem"
  && el("span", { class: "note" }, `  ${node.params}`);

function explainAdd(step, said) {
  const { node, html, text } = said;
  const from = byId.get(step.from);
  const { arrived, of } = gradientAt(step.to, state.step);
  const several = from.inputs.length > 1;
  const use = several ? `argument ${step.place + 1} of ${from.inputs.length}` : "the argument";
  return [
    step === steps[climax?.step] && explainClimax(),
    el("h2", {}, "Backward through ", from.primitive, muted(` to ${node.name}`)),
    formulaLine(html, text),
    ...numbersOf(said),
    note(linkTo(node.id), ` is ${use} of `, linkTo(from.id), " = ",
      inHtml(from.formula, named(step.vars, from)),
      `. Shapes: ${shapeText(from.shape)} → ${shapeText(node.shape)}.`,
      isOne(from.id) && [" The gradient of ", linkTo(from.id), " is 1."]),
    step.summed && el("p", {}, summed(step, node)),
    from.primitive === "getitem" && el("p", {}, scattered(step, from, node)),
    of > 1 && el("p", {}, `Contribution ${arrived} of ${of}: ${node.name} is used ${of} times, ` +
      "and the contributions add up."),
    additions(step, arrived, of),
  ];
}

function summed(step, node) {
  const axes = `${step.summed.length === 1 ? "axis" : "axes"} ${step.summed.join(", ")}`;
  const shapes = `${shapeText(node.shape)} to ${shapeText(arrays[step.from_rule].shape)}`;
  return `${node.name} was broadcast from ${shapes}, so its gradient is the sum over ${axes}.`;
}

function scattered(step, from, node) {
  const moves = elements(step.moves);
  const distinct = [...new Set(moves)];
  const places = distinct.slice(0, 8).map((flat) => place(flat, node.shape));
  if (distinct.length > 8) places.push("…");
  const to = moves ? places.join(", ") : "the places of the index";
  const twice = distinct.length < moves?.length
    ? " A place that the index names more than once gets the sum." : "";
  return `The index ${from.params} scatters: the gradient goes to ${to}, and 0 to all others.${twice}`;
}

function numbersOf({ node, left, equals, flat, at, middle, total, plain }) {
  const n = size(node.shape);
  const result = middle ? [raised(`${middle} `), strong(`= ${total}`)] : strong(total);
  const shown = [left.text, el("sub", {}, at), equals, result];
  const line = formulaLine(shown, `${left.text}${at} ${plain}`, "numbers");
  if (n < 2) return [line];
  const turn = (by) => () => choose((flat + by + n) % n);
  const previous = { "aria-label": "Previous element", onclick: turn(-1) };
  const next = { "aria-label": "Next element", title: "Next element (e)", onclick: turn(1) };
  const buttons = [el("button", previous, "‹"), el("button", next, "›")];
  return [line, el("p", { class: "element" }, `element ${flat + 1} of ${n}`, buttons)];
}

/** Plain text with what follows a ^ raised. */
function raised(text) {
  const exponent = (part) => el("sup", {}, part.slice(1).replace(/^\((.*)\)$/, "$1"));
  const parts = text.split(/(\^\([^)]*\)|\^[^\s)]+)/);
  return parts.map((part) => (part[0] === "^" ? exponent(part) : part));
}

function choose(flat) {
  state.element = flat;
  const focused = document.activeElement?.getAttribute("aria-label");
  explain();
  markStep();
  if (focused?.endsWith("element"))
    $("explanation").querySelector(`[aria-label="${focused}"]`)?.focus();
}

/** before + added = after, as matrices. */
function additions(step, arrived, of) {
  const scatters = step.form === "moves" && byId.get(step.from).primitive === "getitem";
  const gradient = (array, caption, more) => matrix(array, { caption, gradient: true, ...more });
  const hits = scatters ? step.moves : null;
  const parts = [gradient(step.added, "this contribution", { pick: step, hits })];
  if (step.before != null) {
    parts.unshift(gradient(step.before, "so far"), sign("+"));
    parts.push(sign("="), gradient(step.after, arrived === of ? "gradient" : "sum so far"));
  }
  if (step.summed)
    parts.unshift(gradient(step.from_rule, "from the rule, before the sum"), sign("→"));
  return matrices(parts);
}

/* ── Why it is softmax − one-hot ────────────────────────────────────────────────────────────── */

/** What the gradient of the logits is, in short. */
const inShort = () =>
  climax.rows > 1 ? `(softmax ${MINUS} one-hot) / ${climax.rows}` : `softmax ${MINUS} one-hot`;

/** One row of the logits: the column of its label, and of each column p, y, closed form, gradient. */
function climaxRow(row, digits = 4) {
  const width = byId.get(climax.node).shape.at(-1);
  const arrays = {
    p: climax.softmax, y: climax.one_hot, closed: climax.closed,
    g: byId.get(climax.node).gradient,
  };
  if (!elements(climax.softmax)) return { columns: null };
  const of = (name, j) => elements(arrays[name])[row * width + j];
  const label = Array.from({ length: width }, (_, j) => of("y", j)).indexOf(1);
  const columns = Array.from({ length: width }, (_, j) => {
    const at = (name) => number(of(name, j), digits);
    return { j, p: at("p"), y: of("y", j), closed: at("closed"), g: at("g") };
  });
  return { label, columns };
}

const MOST_CLASSES = 3;
const SYMBOLS = { sum: "Σ", getitem: "the index", subtract: MINUS, divide: "÷", negative: MINUS };
const inRow = (names) => names.map((name) => SYMBOLS[name] ?? name).join(", ");

/** The constant that is subtracted from the logits before the two paths part, if there is one. */
function shift() {
  for (let node = byId.get(climax.meeting); node && node.id !== climax.node;) {
    const [of, by] = node.inputs.map((input) => byId.get(input));
    if (node.primitive === "subtract" && !by.wanted) return by.id;
    node = [of, by].find((input) => input?.wanted);
  }
  return null;
}

/** Along which paths softmax and one-hot come. */
function explainPaths(name) {
  const { paths, rows } = climax;
  if (!paths) return ["No rule contains it: it is the sum of the contributions."];
  const { through } = paths.softmax;
  const isLogSumExp = [...through].sort().join() === "exp,log,sum";
  const power = () => ["e", el("sup", {}, "z")];
  const share = ["(1 / Σ ", power(), ") · ", power(), " = "];
  const loss = linkTo(trace.outputs[0]);
  const lead = climax.is_cross_entropy
    ? [loss, rows > 1 ? " = mean of log Σ " : " = log Σ ", power(), ` ${MINUS} z`,
      el("sub", {}, "label"), ", with z = ", linkTo(climax.node), ": two paths lead back"]
    : ["Two paths lead from ", loss, " back to ", linkTo(climax.node)];
  return [
    ...lead, ". Through ", inRow(through) || "one",
    " comes ", isLogSumExp && share, el("b", {}, "softmax p"),
    isLogSumExp && shift() && [" (subtracting ", linkTo(shift()), " cancels)"], "; through ",
    inRow(paths.one_hot.through) || "the other",
    ` comes ${MINUS}1 at the label and 0 elsewhere: `, el("b", {}, `${MINUS} one-hot y`),
    `. Their sum is p ${MINUS} y`, rows > 1 && `, divided by ${rows}`,
    ". No rule contains it.",
  ];
}

/** Of which row the numbers are: of the one with the element that is chosen. */
function rowShown() {
  const { shape } = byId.get(climax.node);
  const step = steps[state.step];
  const flat = step.to === climax.node ? element(step) : 0;
  return shape.length > 1 ? Math.floor(flat / shape.at(-1)) : 0;
}

/** softmax − one-hot beside the gradient from backprop, and why. */
function explainClimax(digits = 4) {
  const { name, shape } = byId.get(climax.node);
  const { rows, largest, step } = climax;
  const row = rowShown();
  const { label, columns } = climaxRow(row, digits);
  const shown = columns && ofInterest(columns, label);
  const cell = (text, j, tag = "td") => el(tag, { class: j === label ? "label" : null }, text);
  const line = (title, what, more = "") => el("tr", { class: more },
    el("th", { scope: "row" }, title), shown.map((column) => cell(what(column), column.j)));
  const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "class"), shown?.map(({ j }) =>
    el("th", { scope: "col", class: j === label ? "label" : null }, j === label ? `label ${j}` : j))));
  const closedForm = rows > 1 ? `(p ${MINUS} y) / ${rows}` : `p ${MINUS} y`;
  const table = shown && el("div", { class: "scroll" }, el("table", { class: digits < 4 ? "narrow" : null }, head, el("tbody", {},
    line("softmax p", ({ p }) => p),
    line(`${MINUS} one-hot y`, ({ y }) => (y ? `${MINUS}1` : "0")),
    line(closedForm, ({ closed }) => closed, "total"),
    line("backprop", ({ g }) => g))));
  const several = size(shape) > shape.at(-1);
  const where = state.step === step ? "" : el("a", { href: `#step=${step}` }, `See step ${step}`);
  const agree = largest ? `They differ by ${number(largest, 2)} at most: rounding. `
    : "They agree to the last digit. ";
  const title = state.step ? [] : el("span", { class: "lead" }, "Where it leads: ");
  return el("div", { class: "closed", role: "note", "aria-label": "why it is softmax minus one-hot" },
    el("h2", {}, title, derivative(name).html(), ` = ${inShort()}`),
    el("p", {}, explainPaths(name)),
    table,
    el("p", { class: "note" }, several && `Row ${row + 1} of ${size(shape) / shape.at(-1)}. `,
      columns?.length > shown?.length && `${shown.length} of ${columns.length} classes. `,
      agree, where));
}

/** Write fewer digits where the table of the classes is wider than the panel. */
function fitClasses() {
  const scroll = $("explanation").querySelector(".closed > .scroll");
  if (scroll && scroll.scrollWidth > scroll.clientWidth)
    scroll.parentElement.replaceWith(explainClimax(3));
}

/** So many classes as fit into the panel: the label, and those of the largest probability. */
function ofInterest(columns, label) {
  if (columns.length <= MOST_CLASSES) return columns;
  const p = elements(climax.softmax);
  const start = rowShown() * columns.length;
  const rank = ({ j }) => (j === label ? 2 : p[start + j]);
  return columns.toSorted((a, b) => rank(b) - rank(a)).slice(0, MOST_CLASSES)
    .sort((a, b) => a.j - b.j);
}

/* ── Matrices ───────────────────────────────────────────────────────────────────────────────── */

function matrix(arrayNumber, options) {
  const { caption, gradient = false, pick = null, hits = null, all = false } = options;
  const array = arrays[arrayNumber];
  const { shape } = array;
  const values = elements(arrayNumber);
  const words = shape.length ? `${caption}, ${shapeText(shape)}` : caption;
  const figure = el("figure", { class: gradient ? "gradient" : "" }, el("figcaption", {}, words));
  if (array.picture && size(shape) > 30) {
    const alt = `heat map, ${array.span}, blue below zero, orange above`;
    const width = Math.min(shape.at(-1), 16) * 9;
    figure.append(el("img", { src: array.picture, alt, width }), el("figcaption", {}, array.span));
  }
  if (!values) figure.append(note("too large to be written out here"));
  if (!values?.length) return figure;
  const columns = shape.at(-1) ?? 1;
  const whole = all || values.length <= MOST_CELLS;
  const shown = (n) => Array.from({ length: whole ? n : Math.min(n, 12) }, (_, i) => i);
  const several = values.length > 1;
  const chosen = pick && several ? element(pick) : -1;
  const marked = new Set(hits == null ? [] : elements(hits));
  const cell = (flat) => {
    const value = values[flat];
    const odd = typeof value === "number" && !Number.isFinite(value);
    const names = { pick, chosen: flat === chosen, hit: marked.has(flat), odd };
    return el("td", {
      class: Object.keys(names).filter((name) => names[name]).join(" "),
      title: several ? place(flat, shape) : null,
      ...(pick && { onclick: () => choose(flat) }),
    }, number(value));
  };
  const row = (i) => el("tr", {}, shown(columns).map((j) => cell(i * columns + j)));
  const body = el("table", { class: "matrix" }, shown(values.length / columns).map(row));
  const scrolls = values.length > 30 ? { tabindex: "0", role: "group", "aria-label": words } : {};
  figure.append(el("div", { class: "scroll", ...scrolls }, body));
  if (!whole) {
    const onclick = () => figure.replaceWith(matrix(arrayNumber, { ...options, all: true }));
    const words = `Show all ${values.length.toLocaleString("en")} elements`;
    figure.append(el("button", { onclick }, words));
  }
  return figure;
}

/* ── The tensor ─────────────────────────────────────────────────────────────────────────────── */

const linkTo = (id) =>
  el("button", { class: "link", onclick: () => choosePart(id, true) }, byId.get(id).name);

const links = (ids) =>
  ids.length ? el("ul", { class: "links" }, ids.map((id) => el("li", {}, linkTo(id)))) : "none";

const leafKind = ({ wanted, kind }) =>
  wanted ? "a parameter" : kind === "constant" ? "a constant" : "an input";

function showNode() {
  const node = chosenNode();
  const { id } = node;
  const { array, arrived, of } = gradientAt(id, state.step);
  const rows = [];
  const row = (name, ...content) => rows.push(el("dt", {}, name), el("dd", {}, content));
  row("shape", `${shapeText(node.shape)}, ${node.dtype}`);
  if (node.formula) {
    const step = steps[valueStep.get(id)];
    row("computed by", `${node.primitive}: `, say(step).html, aside(node));
    const look = named({ ...step.vars, g: node }, node);
    node.rules.forEach((rule, i) => {
      const input = byId.get(node.inputs[i]);
      if (!rule || !input?.wanted) return;
      row(node.rules.length > 1 ? `rule for ${input.name}` : "rule", inHtml(rule, look));
    });
  } else row("leaf", leafKind(node));
  row("inputs", links([...new Set(node.inputs)]));
  row("used by", links(consumers.get(id)));
  if (node.scope.length) row("scope", node.scope.join(" / "));
  if (node.line) row("line", el("code", {}, node.line));
  if (node.label && node.label !== node.name) row("name", node.label);
  const kind = node.kind === "intermediate" ? "computed" : node.kind;
  const parts = [el("h2", {}, node.name, muted(` ${kind}`)), el("dl", {}, rows)];
  if (isKnown(node))
    parts.push(matrices(matrix(node.value, { caption: "value" })), statistics(node.value));
  else parts.push(note("Its value is not computed yet at this step."));
  if (array != null) {
    const caption = arrived < of ? `gradient after ${arrived} of ${of} contributions` : "gradient";
    parts.push(matrices(matrix(array, { caption, gradient: true })), statistics(array));
    if (steps[state.step].to !== id && climax?.node === id && arrived === of)
      parts.push(explainClimax());
  } else if (trace.differentiated) parts.push(note(noGradient(node, of)));
  $("node").replaceChildren(...parts);
  $("latex-of").textContent = node.name;
}

const noGradient = (node, of) => !node.wanted ? "It requires no gradient."
  : of ? "No gradient has arrived yet at this step."
    : "No gradient reaches it: not zero, but none. " +
      "No differentiable path leads from it to the output.";

function statistics(arrayNumber) {
  const array = arrays[arrayNumber];
  if (!("min" in array) || size(array.shape) < 4) return "";
  const parts = ["min", "max", "mean", "std"].map((what) => `${what} ${number(array[what])}`);
  if (array.zeros) parts.push(count(array.zeros, "zero"));
  for (const what of ["nan", "inf"]) if (array[what]) parts.push(`${array[what]} ${what}`);
  return note(parts.join(", "));
}

/* ── Stepping ───────────────────────────────────────────────────────────────────────────────── */

function go(step, { keepHash = false } = {}) {
  const last = steps.length - 1;
  step = clamp(step, 0, last);
  if (step === state.step) return;
  state.step = step;
  state.element = null;
  drawn.svg.classList.remove("related");
  showBoxes();
  markStep();
  explain();
  showNode();
  follow();
  $("slider").value = step;
  $("slider").setAttribute("aria-valuetext", `${step} of ${last}: ${inWords(steps[step])}`);
  $("counter").textContent = `step ${step} of ${last}`;
  for (const id of ["first", "back"]) $(id).disabled = step === 0;
  for (const id of ["forward", "last"]) $(id).disabled = step === last;
  if ($("steps").open) listSteps();
  if (keepHash) return;
  try {
    history.replaceState(null, "", `#step=${step}`);
  } catch { /* not in every frame */ }
}

function inWords(step) {
  if (step.kind === "given") return "inputs and parameters";
  const { text, at, plain = "" } = say(step);
  return [`${text}${at && plain && `, at ${at}`}`, plain].join(" ").trim();
}

function play(on) {
  clearInterval(state.playing);
  const ended = () => state.step === steps.length - 1;
  const next = () => {
    go(state.step + 1);
    if (ended()) play(false);
  };
  state.playing = on ? setInterval(next, 1300) : 0;
  document.body.classList.toggle("playing", Boolean(on));
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (on) go(ended() ? 0 : state.step + 1);
}

const stepIn = (address) => /step=(\d+)/.exec(address)?.[1];

function byHand(step) {
  play(false);
  go(step);
}

function fromAddress() {
  const step = location.hash === "#why" ? climax?.step : stepIn(location.hash);
  if (step) go(Number(step), { keepHash: true });
}

/** Links within the page: by hand, since in a notebook's frame they would lead out of it. */
function followLink(event) {
  const target = event.target.closest?.('a[href^="#"]')?.getAttribute("href");
  if (!target) return;
  event.preventDefault();
  const step = stepIn(target);
  if (step) byHand(Number(step));
  else $(target.slice(1))?.focus();
}

/** List the steps when they are first looked at, and mark the one that is shown. */
function listSteps() {
  const list = $("steps").querySelector("ol");
  const item = (step, i) => el("li", {}, el("a", { href: `#step=${i}` }, inWords(step)));
  if (!list.children.length) list.append(...steps.map(item));
  list.querySelector("[aria-current]")?.removeAttribute("aria-current");
  list.children[state.step].setAttribute("aria-current", "step");
}

/** Bring the list into view once it has opened. */
function showList() {
  requestAnimationFrame(() => {
    if (!$("steps").open) return;
    listSteps();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    $("steps").scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  });
}

/* ── Finding ────────────────────────────────────────────────────────────────────────────────── */

let [found, foundAt] = [[], -1];

function find() {
  const wanted = $("search").value.trim().toLowerCase();
  const texts = (node) => [node.name, node.label, node.primitive ?? ""];
  const matches = (node) => texts(node).some((text) => text.toLowerCase().includes(wanted));
  [found, foundAt] = [wanted ? nodes.filter(matches) : [], -1];
  clearMatches();
  const parts = found.map((node) => partFor(node.id)).filter(Boolean);
  for (const part of parts) part.classList.add("match");
  const number = `${found.length} ${found.length === 1 ? "match" : "matches"}`;
  $("found").textContent = wanted ? number : "";
  intoView(parts.slice(0, 1));
}

function nextMatch() {
  if (!found.length) return;
  foundAt = (foundAt + 1) % found.length;
  $("found").textContent = `${foundAt + 1} of ${found.length}`;
  choosePart(found[foundAt].id);
}

/* ── Export ─────────────────────────────────────────────────────────────────────────────────── */

const chosenNode = () => byId.get(state.chosen ?? steps[state.step].to ?? trace.outputs[0]);

function picture() {
  const svg = drawn.svg.cloneNode(true);
  resize(svg, 1);
  svg.classList.remove("related");
  svg.prepend(svgEl("style", {}, $("graph-css").textContent));
  return new XMLSerializer().serializeToString(svg);
}

const EXPORTS = {
  dot: () => [files.dot, "text/vnd.graphviz"],
  svg: () => [picture(), "image/svg+xml"],
  tex: () => {
    const { id, latex } = chosenNode();
    return [latex || `% no gradient: no differentiable path from ${id} to L`, "text/x-tex"];
  },
  json: () => {
    const given = (key, value) => (key === "elements" ? undefined : value);
    return [JSON.stringify(data.trace, given, 1), "application/json"];
  },
};

function save(kind) {
  const [text, type] = EXPORTS[kind]();
  const href = URL.createObjectURL(new Blob([text], { type }));
  const download = `${files.name}.${kind}`;
  el("a", { href, download }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
  exported(download);
}

/** Say what was exported, close the menu, and let Space play again. */
function exported(words) {
  $("exported").textContent = words;
  $("export").open = false;
  $("play").focus({ preventScroll: true });
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
  exported("Copied.");
}

/* ── Keys, clicks ───────────────────────────────────────────────────────────────────────────── */

const KEYS = {
  ArrowRight: () => byHand(state.step + 1),
  ArrowLeft: () => byHand(state.step - 1),
  Home: () => byHand(0),
  End: () => byHand(steps.length - 1),
  " ": () => play(!state.playing),
  "/": () => $("search").focus(),
  f: () => zoom(fitting()),
  "+": () => zoom(drawn.scale * 1.25),
  "=": () => zoom(drawn.scale * 1.25),
  "-": () => zoom(drawn.scale / 1.25),
  c: () => switchLayout(false, document.activeElement?.dataset.id),
  d: () => switchLayout(true),
  w: () => climax && byHand(climax.step),
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
    else if (event.key === "Escape") {
      target.value = "";
      find();
      clearSelection();
      target.blur();
    }
    return;
  }
  if (part && (event.key === "Enter" || (event.key === " " && isScope(part)))) {
    event.preventDefault();
    return press(part);
  }
  if (event.key === " " && target.matches?.("button, summary, a")) return;
  if (event.key === "Escape" && $("export").open) $("export").open = false;
  else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
}

const isScope = (part) => part.matches(".scope, .folded");

function press(part) {
  const id = part.dataset.id;
  if (isScope(part)) switchLayout(false, id);
  else if (byId.has(id)) choosePart(id);
  else choosePart(`t${id.slice(1)}`); // a primitive: what it has made
}

function onHover(event) {
  const part = event.target.closest?.("[data-id]");
  const node = part && byId.get(part.dataset.id);
  const tip = $("tip");
  tip.hidden = !node;
  if (state.chosen == null) markRelated(node ? node.id : null);
  if (node) tip.textContent = describe(node);
}

/** Drag the graph with the mouse: how far it was dragged tells it from a click. */
function drag(event) {
  if (event.pointerType !== "mouse" || !(event.buttons & 1)) return;
  state.dragged += Math.hypot(event.movementX, event.movementY);
  if (state.dragged <= 4) return;
  view.setPointerCapture(event.pointerId);
  view.scrollBy(-event.movementX, -event.movementY);
}

function zoomByWheel(event) {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoom(drawn.scale * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
}

/** Pinch the graph with two fingers. */
function pinch(event) {
  if (event.touches.length !== 2) return;
  event.preventDefault();
  const [a, b] = event.touches;
  const distance = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  if (event.type === "touchstart") state.pinched = { distance, scale: drawn.scale };
  else if (state.pinched) zoom((state.pinched.scale * distance) / state.pinched.distance);
}

/** Swipe the explanation to step, unless it was a matrix that was scrolled. */
function swipe(event) {
  const { clientX: x, clientY: y } = event.changedTouches[0];
  if (event.type === "touchstart") {
    const inside = event.target.closest(".scroll");
    const scrolls = inside && inside.scrollWidth > inside.clientWidth;
    state.swiped = scrolls || event.touches.length > 1 ? null : { x, y };
  } else if (state.swiped) {
    const [dx, dy] = [x - state.swiped.x, y - state.swiped.y];
    if (Math.abs(dx) > 40 && Math.abs(dx) > 2 * Math.abs(dy)) byHand(state.step - Math.sign(dx));
    state.swiped = null;
  }
}

/* ── The legend ─────────────────────────────────────────────────────────────────────────────── */

const KINDS = {
  parameter: "parameter", input: "input", constant: "constant", intermediate: "computed",
  output: "output",
};

function listLegend() {
  const swatch = (...parts) => {
    const svg = svgEl("svg", { class: "graph", width: 18, height: 12, viewBox: "2 0 18 13" });
    svg.append(...parts);
    return svg;
  };
  const box = (kind) => {
    const group = svgEl("g", { class: `tensor ${kind}` });
    const rx = kind === "intermediate" ? 4 : 1;
    group.append(svgEl("rect", { x: 4, y: 2, width: 14, height: 9, rx }));
    return swatch(group);
  };
  const oval = svgEl("g", { class: "primitive" });
  oval.append(svgEl("ellipse", { cx: 11, cy: 6.5, rx: 7, ry: 5 }));
  const arrow = svgEl("g", { class: "edge constant" });
  arrow.append(svgEl("path", { d: "M1 6.5H21" }));
  const item = (mark, words) => el("li", {}, mark, words);
  const kinds = new Set(nodes.map((node) => node.kind));
  const items = Object.keys(KINDS).filter((kind) => kinds.has(kind));
  $("legend").append(
    ...items.map((kind) => item(box(kind), KINDS[kind])),
    item(swatch(oval), "primitive"),
    item(box("active"), "this step"), item(box("from"), "source"),
    item(box("pending"), "not computed"));
  if (trace.differentiated) {
    $("legend").append(item(el("span", { class: "gradient" }, "1.2"), "gradient"));
    if (nodes.some((node) => node.inputs.some((input) => !byId.get(input).wanted)))
      $("legend").append(item(swatch(arrow), "no gradient"));
  }
  if (arrays.some((array) => array.picture))
    $("legend").append(item(el("span", { class: "scale" }, `${MINUS} 0 +`), "heat map"));
}

function start() {
  document.body.classList.toggle("touch", touches);
  listLegend();
  $("steps").querySelector("summary").textContent = `List all ${steps.length} steps`;
  if (climax) {
    $("climax").hidden = false;
    $("climax").href = `#step=${climax.step}`;
    $("climax").title = `${inShort()}, at step ${climax.step}${touches ? "" : " (w)"}`;
    const share = climax.step / (steps.length - 1);
    $("climax").style.left = `clamp(1.2rem, ${100 * share}%, 100% - 1.2rem)`;
  }
  $("slider").max = steps.length - 1;
  $("phase-forward").style.flex = forwardSteps;
  $("phase-backward").style.flex = backwardSteps;
  $("phase-backward").hidden = !backwardSteps;
  attachSvg(first, 0);
  $("fold").hidden = otherLayout(false) < 0;
  $("direction").hidden = otherLayout(true) < 0;
  fromAddress();
  if (state.step < 0) go(0, { keepHash: true });

  const on = (element, name, listener) => element.addEventListener(name, listener);
  for (const button of document.querySelectorAll("[data-key]"))
    on(button, "click", () => KEYS[button.dataset.key]());
  for (const button of document.querySelectorAll("[data-copy]"))
    on(button, "click", () => copy(button.dataset.copy));
  for (const button of document.querySelectorAll("[data-save]"))
    on(button, "click", () => save(button.dataset.save));
  on($("slider"), "input", () => byHand(Number($("slider").value)));
  on($("search"), "input", find);
  on($("steps"), "toggle", () => $("steps").open && listSteps());
  on($("steps").querySelector("summary"), "click", showList);
  on(document, "keydown", onKey);
  on(document, "click", followLink);
  on(view, "pointerdown", () => { state.dragged = 0; });
  on(view, "pointermove", drag);
  on(view, "scroll", hintAtTheRest);
  on(window, "resize", hintAtTheRest);
  on(window, "resize", fitClasses);
  for (const name of ["touchstart", "touchmove"])
    view.addEventListener(name, pinch, { passive: false });
  for (const name of ["touchstart", "touchend"]) on($("explanation"), name, swipe);
  on(document, "click", (event) => {
    // What was clicked with a pointer keeps no focus, in which it would take Space for itself.
    if (event.detail) event.target.closest?.("button:not(#view *), summary")?.blur();
  });
  view.addEventListener("wheel", zoomByWheel, { passive: false });
  on(view, "click", (event) => {
    if (state.dragged > 4) return;
    const part = event.target.closest("[data-id]");
    if (part) press(part);
    else clearSelection();
  });
  on(view, "focusin", (event) => {
    const id = event.target.dataset?.id;
    if (byId.has(id) && event.target.matches(":focus-visible")) choosePart(id);
  });
  on(view, "pointerover", (event) => event.pointerType === "mouse" && onHover(event));
  on(view, "pointerleave", () => {
    $("tip").hidden = true;
    if (state.chosen == null) markRelated(null);
  });
  on(window, "hashchange", fromAddress);
  on($("export"), "toggle", () => $("export").open && ($("exported").textContent = ""));
  on(window, "beforeprint", () => {
    listSteps();
    $("steps").open = true;
  });
}

start();
