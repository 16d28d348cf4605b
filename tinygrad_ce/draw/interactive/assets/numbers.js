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
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

function svgEl(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/* ── Arrays and numbers ─────────────────────────────────────────────────────────────────────── */

/** The elements of an array of the trace, or null where it is too large to be in it. */
function elements(number) {
  const array = arrays[number];
  if (array.elements === undefined) {
    if (array.data) array.elements = array.data.map((v) => (typeof v === "string" ? Number(v.replace("inf", "Infinity")) : v));
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
  if (Number.isInteger(value) && Math.abs(value) < 10 ** digits) return String(value).replace("-", MINUS);
  let [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  exponent = Number(exponent);
  const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  let text;
  if (exponent < -4 || exponent >= digits) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    text = `${trimmed(mantissa)}e${exponent < 0 ? "-" : "+"}${size}`;
  } else text = trimmed(value.toFixed(Math.max(0, digits - 1 - exponent)));
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
   A formula is a tree, ["times", ["var", "g"], …]. It is written out twice: as HTML for the page,
   and as plain text for labels. `look` says what to write for a variable. */

class Text {
  parts = [];
  add(text) { this.parts.push(text); }
  variable(shown) { this.add(shown.plain); }
  around(tag, write) { this.add(tag === "sup" ? "^" : tag === "sub" ? "_" : ""); write(); }
  fraction(over, under) { this.group(over); this.add(" / "); this.group(under); }
  group(write) {
    const start = this.parts.length;
    write();
    const inside = this.parts.splice(start).join("");
    this.add(/ [+−·×/] /.test(inside) ? `(${inside})` : inside);
  }
  root(write) { this.add("√("); write(); this.add(")"); }
  get done() { return this.parts.join(""); }
}

class Html {
  stack = [el("span")];
  add(text) { this.stack.at(-1).append(text); }
  variable(shown) { this.stack.at(-1).append(shown.html()); }
  around(tag, write, attributes) {
    const element = el(tag, attributes);
    this.stack.at(-1).append(element);
    this.stack.push(element);
    write();
    this.stack.pop();
  }
  fraction(over, under) {
    this.around("span", () => { this.around("span", over); this.around("span", under); }, { class: "frac" });
  }
  root(write) { this.add("√"); this.around("span", write, { class: "root" }); }
  get done() { return this.stack[0]; }
}

// As in formulas.py: what binds weaker than what is around it gets parentheses.
const PRECEDENCE = { choice: 0, rel: 1, plus: 2, neg: 2, seq: 2, times: 3, matmul: 3, sum: 3.6, call: 4, pow: 5, frac: 5.5 };
const FUNCTIONS = { sigmoid: "σ", not: "¬" };
const TEX = { "\\sum": "Σ", "\\top": "⊤", "\\cdot": "·", "{": "", "}": "", " ": "" };

function write(tree, out, look, outer = 0) {
  const [kind, ...parts] = tree;
  const own = PRECEDENCE[kind] ?? 9;
  const listed = (from = 0) => parts.slice(from).forEach((part, i) => { if (i) out.add(", "); write(part, out, look); });
  if (own < outer) out.add("(");
  switch (kind) {
    case "num": case "sym": out.add(parts[0]); break;
    case "text": out.add(parts[0]); break;
    case "tex": out.add(TEX[parts[0]] ?? parts[0].replace("\\", "")); break;
    case "seq": parts.forEach((part) => write(part, out, look)); break;
    case "var": variable(parts[0], out, look, outer); break;
    case "times": case "matmul": // a function that is not the last factor would seem to be of all that follow
      parts.forEach((part, i) => {
        if (i) out.add(look.times);
        write(part, out, look, i < parts.length - 1 ? 4.5 : 3.5);
      });
      break;
    case "plus":
      parts.forEach((part, i) => {
        const minus = part[0] === "neg";
        if (i) out.add(minus ? ` ${MINUS} ` : " + ");
        write(i && minus ? part[1] : part, out, look, i ? 2.5 : 2);
      });
      break;
    case "neg": out.add(MINUS); write(parts[0], out, look, 2.75); break;
    case "frac": out.fraction(() => write(parts[0], out, look), () => write(parts[1], out, look)); break;
    case "pow": write(parts[0], out, look, 6); out.around("sup", () => write(parts[1], out, look, out instanceof Text ? 6 : 0)); break;
    case "sub": write(parts[0], out, look, 6); out.around("sub", () => write(parts[1], out, look)); break;
    case "transposed": write(parts[0], out, look, 6); out.add("ᵀ"); break;
    case "sqrt": out.root(() => write(parts[0], out, look)); break;
    case "abs": out.add("|"); write(parts[0], out, look); out.add("|"); break;
    case "call": {
      const simple = parts.length === 2 && (PRECEDENCE[parts[1][0]] ?? 9) > 5 && parts[0] !== "sigmoid";
      out.add(FUNCTIONS[parts[0]] ?? parts[0]);
      if (simple && parts[0] !== "not") out.add("\u2009");
      if (simple) write(parts[1], out, look, 4.5);
      else { out.add("("); listed(1); out.add(")"); }
      break;
    }
    case "sum":
      out.add("Σ");
      if (parts[0]) out.around("sub", () => write(parts[0], out, look));
      out.add("\u2009");
      write(parts[1], out, look, 3);
      break;
    case "bracket": out.add("["); listed(); out.add("]"); break;
    case "at": write(parts[0], out, look, 6); out.add("["); listed(1); out.add("]"); break;
    case "rel": parts.forEach((part, i) => (i % 2 ? out.add(` ${part} `) : write(part, out, look, 1.5))); break;
    case "choice": write(parts[1], out, look, 1); out.add(" where "); write(parts[0], out, look, 1); out.add(", else "); write(parts[2], out, look, 1); break;
    default: out.add("?");
  }
  if (own < outer) out.add(")");
}

function variable(letter, out, look, outer) {
  const shown = look.of(letter);
  const parenthesize = shown.plain.startsWith(MINUS) && outer > 3;
  if (parenthesize) out.add("(");
  out.variable(shown);
  if (parenthesize) out.add(")");
}

const plainly = (text) => ({ plain: text, html: () => text });
const italic = (text) => ({ plain: text, html: () => el("i", {}, text) });

/** ∂L/∂name, as a fraction. */
function derivative(name) {
  return {
    plain: `∂L/∂${name}`,
    html: () => el("span", { class: "frac gradient" }, el("span", {}, "∂L"), el("span", {}, "∂", el("i", {}, name))),
  };
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

function inText(tree, look) {
  const out = new Text();
  write(tree, out, look);
  return out.done;
}

function inHtml(tree, look) {
  const out = new Html();
  write(tree, out, look);
  return out.done;
}

/* ── The numbers of one element ─────────────────────────────────────────────────────────────── */

const product = (factors) => factors.map((f, i) => (i && f < 0 ? `(${number(f)})` : number(f))).join(" × ");
const sum = (terms, least = 1) => {
  if (terms.length < least) return "0";
  const shown = terms.length > MOST_TERMS + 1 ? terms.slice(0, MOST_TERMS) : terms;
  const text = shown.map((t, i) => (i ? (t.startsWith(MINUS) ? ` ${MINUS} ${t.slice(1)}` : ` + ${t}`) : t)).join("");
  return shown.length < terms.length ? `${text} + … (${terms.length} terms)` : text;
};

/** Which elements of a broadcast result belong to one element of what was broadcast. */
function sharing(flat, shape, full) {
  if (size(shape) === size(full)) return [flat];
  const found = [];
  for (let i = 0; i < size(full); i++) if (across(i, full, shape) === flat) found.push(i);
  return found;
}

/** The products that an element of a matrix product is the sum of. */
function matrixTerms(form, vars, flat, shape) {
  const left = form === "matmul1" ? vars.a : form === "matmul0" ? vars.g : vars.a;
  const right = form === "matmul0" ? vars.b : form === "matmul1" ? vars.g : vars.b;
  const [l, r] = [elements(left.array), elements(right.array)];
  if (!l || !r) return null;
  const index = unravel(flat, shape);
  const [i, j] = index.slice(-2);
  const batch = index.slice(0, -2);
  const inner = form === "matmul1" ? left.shape.at(-2) : left.shape.at(-1);
  const terms = [];
  for (let k = 0; k < inner; k++) {
    const at = form === "matmul1" ? [k, i] : [i, k];
    const to = form === "matmul0" ? [j, k] : [k, j];
    terms.push(product([l[ravel([...batch, ...at], left.shape)], r[ravel([...batch, ...to], right.shape)]]));
  }
  return terms;
}

/** The terms that make up one element of what a step computes, in numbers, or null. */
function terms(step, flat) {
  const vars = step.vars;
  if (step.kind === "value") {
    const shape = byId.get(step.to).shape;
    if (step.form === "moves") return [elements(vars.x.array)?.[elements(step.moves)?.[flat]]].map((v) => (v === undefined ? "…" : number(v)));
    if (step.form === "matmul") return matrixTerms("matmul", vars, flat, shape);
    if (step.form === "reduce") {
      const values = elements(vars.x.array);
      return values && sharing(flat, vars.y.shape, vars.x.shape).map((i) => number(values[i]));
    }
    return step.filled ? [inText(step.in_numbers, numbered(vars, flat, shape))] : null;
  }
  const full = arrays[step.from_rule].shape;
  if (step.form === "moves") {
    const [moves, g] = [elements(step.moves), elements(vars.g.array)];
    if (!moves || !g) return null;
    const found = [];
    moves.forEach((to, from) => { if (to === flat) found.push(number(g[from])); });
    return found;
  }
  const places = sharing(flat, byId.get(step.to).shape, full);
  if (step.form) {
    if (places.length > 1) return null;
    return matrixTerms(step.form, vars, places[0], full);
  }
  return step.filled ? places.map((i) => inText(step.in_numbers, numbered(vars, i, full))) : null;
}

/** "= −0.21 × 1.65 = −0.35" for one element of what a step computes. */
function inNumbers(step, flat) {
  const result = step.kind === "value" ? byId.get(step.to).value : step.added;
  const values = elements(result);
  const total = values ? number(values[flat]) : "…";
  let found = values && terms(step, flat);
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
