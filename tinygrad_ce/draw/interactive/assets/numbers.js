/* Steps through a graph: its values forward, then every contribution to a gradient backward.

   All that is shown comes from the trace, the JSON in this page; nothing is computed here but which
   numbers to show. Text goes into the page as text, never as HTML, so that no name can inject.

   numbers.js, graph.js and page.js become one script, in this order. This one: what a step says, in
   formulas and in numbers. */

const data = JSON.parse(document.getElementById("data").textContent);
const { trace, layouts, files } = data;
const { nodes, steps, arrays } = trace;
const $ = (id) => document.getElementById(id);
const byId = new Map(nodes.map((node) => [node.id, node]));
const MINUS = "−";
const MOST_TERMS = 4;
const MOST_CELLS = 400; // of a matrix that is written out unasked

/** An element with attributes and children; text stays text. */
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

function svgEl(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

/* ── Arrays and numbers ─────────────────────────────────────────────────────────────────────── */

/** The elements of an array of the trace, or null where it is too large to be in it. */
function elements(number) {
  const array = arrays[number];
  const value = (v) => (typeof v === "string" ? Number(v.replace("inf", "Infinity")) : v);
  return (array.elements ??= array.data?.map(value) ?? null);
}

/** A number with so many significant digits, as Python's format "g" writes it. */
function number(value, digits = 4) {
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : `${MINUS}inf`;
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const trim = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  let text;
  if (exponent < -4 || exponent >= digits) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    text = `${trim(mantissa)}e${exponent[0]}${size}`;
  } else text = trim(value.toFixed(digits - 1 - exponent));
  return text.replaceAll("-", MINUS);
}

const size = (shape) => shape.reduce((a, b) => a * b, 1);
/** A shape as Python writes it. */
const shapeText = (shape) => `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;

/** The place along each axis of an element, counted through an array. */
function unravel(flat, shape) {
  const index = new Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = flat % shape[axis];
    flat = Math.floor(flat / shape[axis]);
  }
  return index;
}

/** The element of an array of `shape` that an index of a broadcast result falls on. */
function ravel(index, shape) {
  const added = index.length - shape.length;
  return shape.reduce((flat, n, axis) => flat * n + (n === 1 ? 0 : index[axis + added]), 0);
}

const across = (flat, from, to) => ravel(unravel(flat, from), to);
const place = (flat, shape) => (shape.length ? `[${unravel(flat, shape).join(", ")}]` : "");

/* ── Formulas ───────────────────────────────────────────────────────────────────────────────────
   A formula is a list of signs, variables ["var", letter, tight], names ["name", latex, shown], and
   marks, as trees.py writes it. `look` says what to write for a variable, and between factors. */

const TEXT = {
  join: (parts) => parts.join(""),
  variable: ({ text }) => text,
  sup: (inner) => (/[^\p{L}\p{N}_.]/u.test(inner) ? `^(${inner})` : `^${inner}`),
  sub: (inner) => `_${inner}`,
  root: (inner) => `√(${inner})`,
  frac: (...sides) =>
    sides.map((side) => (/ [+−·×/] /.test(side) ? `(${side})` : side)).join(" / "),
};
const HTML = {
  join: (parts) => parts,
  variable: ({ text, html }) => html?.() ?? text,
  sup: (inner) => el("sup", {}, inner),
  sub: (inner) => el("sub", {}, inner),
  root: (inner) => ["√", el("span", { class: "root" }, inner)],
  frac: (above, below) =>
    el("span", { class: "frac" }, el("span", {}, above), el("span", {}, below)),
};

function written(parts, look, as) {
  return as.join(parts.map((part) => {
    if (part === "·") return look.times;
    if (typeof part === "string") return part;
    const [mark, ...inner] = part;
    if (mark === "name") return inner[1];
    if (mark === "var") {
      const variable = look.of(inner[0]);
      const shown = as.variable(variable);
      return inner[1] && variable.text.startsWith(MINUS) ? as.join(["(", shown, ")"]) : shown;
    }
    const lists = inner.map((list) => written(list, look, as));
    if (mark !== "choice") return as[mark](...lists);
    return as.join([lists[1], " where ", lists[0], ", else ", lists[2]]);
  }));
}

const inText = (formula, look) => written(formula, look, TEXT);
const inHtml = (formula, look) => el("span", {}, written(formula, look, HTML));

const plainly = (text) => ({ text });
const italic = (text) => ({ text, html: () => el("i", {}, text) });

/** A name in a formula: in parentheses if it is an expression such as x @ W. */
const inFormula = (name) => (name.includes(" ") ? `(${name})` : name);

/** ∂L/∂name, as a fraction. */
function derivative(name) {
  const shown = inFormula(name);
  const under = () => el("span", {}, "∂", el("i", {}, shown));
  const html = () => el("span", { class: "frac gradient" }, el("span", {}, "∂L"), under());
  return { text: `∂L/∂${shown}`, html };
}

/** What variables look like: the index or a constant as it is, of others what `shown` says. */
const lookOf = (times, vars, shown, index) => ({
  times,
  of(letter) {
    const known = vars[letter];
    if (letter === "i" && index) return plainly(index);
    if (!known) return italic(letter);
    return "number" in known ? plainly(number(Number(known.number))) : shown(known, letter);
  },
});

/** Variables by name; the gradient of the output with respect to itself is 1. */
function named(vars, node) {
  const index = node.primitive === "getitem" ? node.params.slice(1, -1) : "";
  const gradient = ({ name, id }) => (isOne(id) ? plainly("1") : derivative(name));
  const shown = (known, letter) => (letter === "g" ? gradient(known) : italic(inFormula(known.name)));
  return lookOf(" · ", vars, shown, index);
}

/** Variables by their numbers at one element of a result of some shape. */
function numbered(vars, flat, shape) {
  return lookOf(" × ", vars, (known) => {
    const values = elements(known.array);
    return plainly(values ? number(values[across(flat, shape, known.shape)]) : "…");
  });
}

/* ── The numbers of one element ─────────────────────────────────────────────────────────────── */

const product = (factors) =>
  factors.map((f, i) => (i && f < 0 ? `(${number(f)})` : number(f))).join(" × ");

function sum(terms) {
  if (!terms.length) return "0";
  const shown = terms.length > MOST_TERMS + 1 ? terms.slice(0, MOST_TERMS) : terms;
  const signed = (t) => (t.startsWith(MINUS) ? ` ${MINUS} ${t.slice(1)}` : ` + ${t}`);
  const text = shown.map((t, i) => (i ? signed(t) : t)).join("");
  return shown.length < terms.length ? `${text} + … (${terms.length} terms)` : text;
}

/** Which elements of a broadcast result belong to one element of what was broadcast. */
function sharing(flat, shape, full) {
  if (size(shape) === size(full)) return [flat];
  const found = [];
  for (let i = 0; i < size(full); i++) if (across(i, full, shape) === flat) found.push(i);
  return found;
}

/** The products that an element of a matrix product is the sum of. */
function matrixTerms({ form, vars }, flat, shape) {
  const left = form === "matmul0" ? vars.g : vars.a;
  const right = form === "matmul1" ? vars.g : vars.b;
  const [l, r] = [elements(left.array), elements(right.array)];
  if (!l || !r) return null;
  const index = unravel(flat, shape);
  const [i, j] = index.slice(-2);
  const batch = index.slice(0, -2);
  return Array.from({ length: left.shape.at(form === "matmul1" ? -2 : -1) }, (_, k) => {
    const at = form === "matmul1" ? [k, i] : [i, k];
    const to = form === "matmul0" ? [j, k] : [k, j];
    const places = [ravel([...batch, ...at], left.shape), ravel([...batch, ...to], right.shape)];
    return product([l[places[0]], r[places[1]]]);
  });
}

/** The terms that make up one element of what a step computes, in numbers, or null. */
function terms(step, flat) {
  const { vars, form } = step;
  const { shape } = byId.get(step.to);
  const filled = (i, full) => inText(step.in_numbers ?? step.formula, numbered(vars, i, full));
  if (step.kind === "value") {
    const values = vars.x && elements(vars.x.array);
    if (form === "moves") {
      const value = values?.[elements(step.moves)?.[flat]];
      return [value === undefined ? "…" : number(value)];
    }
    if (form === "reduce")
      return values && sharing(flat, vars.y.shape, vars.x.shape).map((i) => number(values[i]));
    if (form) return matrixTerms(step, flat, shape);
    return step.filled ? [filled(flat, shape)] : null;
  }
  const full = arrays[step.from_rule].shape;
  if (form === "moves") {
    const [moves, g] = [elements(step.moves), elements(vars.g.array)];
    if (!moves || !g) return null;
    return [...moves.keys()].filter((from) => moves[from] === flat).map((from) => number(g[from]));
  }
  const places = sharing(flat, shape, full);
  if (form) return places.length > 1 ? null : matrixTerms(step, places[0], full);
  return step.filled ? places.map((i) => filled(i, full)) : null;
}

/** For one element of what a step computes, "−0.21 × 1.65" and "−0.35", and both as `plain`. */
function inNumbers(step, flat) {
  const values = elements(step.kind === "value" ? byId.get(step.to).value : step.added);
  const total = values ? number(values[flat]) : "…";
  const found = values && terms(step, flat);
  let middle = found ? sum(found) : "";
  if (found && step.form === "reduce") {
    const name = byId.get(step.to).primitive;
    const listed = found.length > MOST_TERMS + 1 ? [...found.slice(0, MOST_TERMS), "…"] : found;
    if (name === "mean") middle = `(${middle}) / ${found.length}`;
    else if (name !== "sum") middle = `${name}(${listed.join(", ")})`;
  }
  if (middle === total) middle = "";
  return { middle, total, plain: middle ? `= ${middle} = ${total}` : `= ${total}` };
}
