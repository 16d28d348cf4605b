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
  if (array.elements === undefined) {
    const value = (v) => (typeof v === "string" ? Number(v.replace("inf", "Infinity")) : v);
    if (array.data) array.elements = array.data.map(value);
    else if (array.float64) array.elements = new Float64Array(bytes(array.float64));
    else if (array.float32) array.elements = new Float32Array(bytes(array.float32));
    else array.elements = null;
  }
  return array.elements;
}

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;

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
const shapeText = (shape) => (shape.length ? shape.join(" × ") : "scalar");

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
   A formula is a tree, ["times", ["var", "g"], …]. It is written as a list of texts, of variables
   {plain, html}, and of {mark, parts}; and this as HTML for the page, or as text for labels. `look`
   says what to write for a variable. */

// As in trees.py: what binds weaker than what is around it gets parentheses.
const PRECEDENCE = {
  choice: 0, rel: 1, plus: 2, neg: 2, seq: 2, times: 3, matmul: 3, sum: 3.6, call: 4, pow: 5,
  frac: 5.5,
};
const precedence = (tree) => PRECEDENCE[tree[0]] ?? 9;
const FUNCTIONS = { sigmoid: "σ", not: "¬" };
const TEX = { "\\sum": "Σ", "\\top": "⊤", "\\cdot": "·", "{": "", "}": "", " ": "" };

function write(tree, look, outer = 0) {
  const [kind, ...parts] = tree;
  const at = (part, outer = 0) => write(part, look, outer);
  const shown = WRITERS[kind]?.(at, parts, look) ?? ["?"];
  const negative = kind === "var" && shown[0].plain.startsWith(MINUS) && outer > 3;
  return precedence(tree) < outer || negative ? ["(", ...shown, ")"] : shown;
}

const list = (lists, sign = ", ") => lists.flatMap((parts, i) => (i ? [sign, ...parts] : parts));
const verbatim = (at, [text]) => [text];

const WRITERS = {
  num: verbatim,
  sym: verbatim,
  text: verbatim,
  tex: (at, [text]) => [TEX[text] ?? text.replace("\\", "")],
  seq: (at, parts) => parts.flatMap((part) => at(part)),
  var: (at, [letter], look) => [look.of(letter)],
  // A function that is not the last factor would seem to be of all that follow.
  times: (at, parts, look) =>
    list(parts.map((part, i) => at(part, i < parts.length - 1 ? 4.5 : 3.5)), look.times),
  matmul: (at, parts, look) => WRITERS.times(at, parts, look),
  plus: (at, [first, ...others]) => [...at(first, 2), ...others.flatMap((part) =>
    part[0] === "neg" ? [` ${MINUS} `, ...at(part[1], 2.5)] : [" + ", ...at(part, 2.5)])],
  neg: (at, [a]) => [MINUS, ...at(a, 2.75)],
  frac: (at, [a, b]) => [{ mark: "frac", parts: [at(a), at(b)] }],
  pow: (at, [a, n], look) => [...at(a, 6), { mark: "sup", parts: at(n, look.inText ? 6 : 0) }],
  sub: (at, [a, i]) => [...at(a, 6), { mark: "sub", parts: at(i) }],
  transposed: (at, [a]) => [...at(a, 6), "ᵀ"],
  sqrt: (at, [a]) => [{ mark: "root", parts: at(a) }],
  abs: (at, [a]) => ["|", ...at(a), "|"],
  call: (at, [name, ...inputs]) => {
    const shown = FUNCTIONS[name] ?? name;
    if (inputs.length > 1 || precedence(inputs[0]) <= 5 || name === "sigmoid")
      return [shown, "(", ...list(inputs.map((part) => at(part))), ")"];
    return [shown, name === "not" ? "" : "\u2009", ...at(inputs[0], 4.5)];
  },
  sum: (at, [index, terms]) =>
    ["Σ", ...(index ? [{ mark: "sub", parts: at(index) }] : []), "\u2009", ...at(terms, 3)],
  bracket: (at, parts) => ["[", ...list(parts.map((part) => at(part))), "]"],
  at: (at, [a, ...index]) => [...at(a, 6), ...WRITERS.bracket(at, index)],
  rel: (at, parts) => parts.flatMap((part, i) => (i % 2 ? [` ${part} `] : at(part, 1.5))),
  choice: (at, [c, a, b]) => [...at(a, 1), " where ", ...at(c, 1), ", else ", ...at(b, 1)],
};

const inText = (tree, look) => textOf(write(tree, { ...look, inText: true }));
const inHtml = (tree, look) => el("span", {}, htmlOf(write(tree, look)));

function textOf(parts) {
  const group = (part) => {
    const text = textOf(part);
    return / [+−·×/] /.test(text) ? `(${text})` : text;
  };
  const marks = {
    sup: (inner) => `^${textOf(inner)}`,
    sub: (inner) => `_${textOf(inner)}`,
    root: (inner) => `√(${textOf(inner)})`,
    frac: (inner) => inner.map(group).join(" / "),
  };
  return parts.map((part) => part.plain ?? marks[part.mark]?.(part.parts) ?? part).join("");
}

function htmlOf(parts) {
  const marks = {
    sup: (inner) => el("sup", {}, htmlOf(inner)),
    sub: (inner) => el("sub", {}, htmlOf(inner)),
    root: (inner) => ["√", el("span", { class: "root" }, htmlOf(inner))],
    frac: (sides) =>
      el("span", { class: "frac" }, sides.map((side) => el("span", {}, htmlOf(side)))),
  };
  return parts.map((part) => part.html?.() ?? marks[part.mark]?.(part.parts) ?? part);
}

const plainly = (text) => ({ plain: text, html: () => text });
const italic = (text) => ({ plain: text, html: () => el("i", {}, text) });

/** ∂L/∂name, as a fraction. */
function derivative(name) {
  const under = () => el("span", {}, "∂", el("i", {}, name));
  const html = () => el("span", { class: "frac gradient" }, el("span", {}, "∂L"), under());
  return { plain: `∂L/∂${name}`, html };
}

/** Variables by name. */
function named(vars, node) {
  const indexText = node.primitive === "getitem" ? node.params.slice(1, -1) : "";
  return {
    times: " · ",
    of(letter) {
      const known = vars[letter];
      if (letter === "g" && known) return derivative(known.name);
      if (letter === "i" && indexText) return plainly(indexText);
      if (!known) return italic(letter);
      return "number" in known ? plainly(number(Number(known.number))) : italic(known.name);
    },
  };
}

/** Variables by their numbers at one element of a result of some shape. */
function numbered(vars, flat, shape) {
  return {
    times: " × ",
    of(letter) {
      const known = vars[letter];
      if (!known) return italic(letter);
      if ("number" in known) return plainly(number(Number(known.number)));
      const values = elements(known.array);
      return plainly(values ? number(values[across(flat, shape, known.shape)]) : "…");
    },
  };
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
  const filled = (i, full) => inText(step.in_numbers, numbered(vars, i, full));
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

/** "= −0.21 × 1.65 = −0.35" for one element of what a step computes. */
function inNumbers(step, flat) {
  const values = elements(step.kind === "value" ? byId.get(step.to).value : step.added);
  const total = values ? number(values[flat]) : "…";
  const found = values && terms(step, flat);
  if (!found) return { plain: `= ${total}`, total };
  let text = sum(found);
  if (step.form === "reduce") {
    const name = byId.get(step.to).primitive;
    const listed = found.length > MOST_TERMS + 1 ? [...found.slice(0, MOST_TERMS), "…"] : found;
    if (name === "mean") text = `(${text}) / ${found.length}`;
    else if (name !== "sum") text = `${name}(${listed.join(", ")})`;
  }
  return { plain: text === total ? `= ${total}` : `= ${text} = ${total}`, total };
}
