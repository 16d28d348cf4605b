/* One loss: its values and gradients move with its logits, its target and its expression. */

import { el, svg } from "./elements.js";
import { latest } from "./latest.js";
import { directionFor, liveGraph } from "./live_graph.js";
import { lossCurve } from "./loss_curve.js";
import { questions } from "./loss_questions.js";

const LEAST = 2, MOST = 9; // classes
const RANGES = [10, 50, 100, 1000]; // of the sliders, either way
const FORMS = { naive: "naive", shifted: "shifted", margin: "margin", expression: "your own" };
const DEFAULTS = {
  logits: [2, 1, 0.1], label: 0, smoothing: 0, soft: null, form: "naive", dtype: "float64", expression: "",
};

export function create(root, play) {
  const setting = structuredClone(DEFAULTS);
  let frame = null, stale = true; // whether there is a graph to put numbers into
  const sending = latest(() => play.send("set", message()));

  function message() {
    const { logits, label, smoothing, soft, form, dtype, expression } = setting;
    const more = { ...(soft && { soft }), ...(form === "expression" && { expression }) };
    return { logits, label, smoothing, form, dtype, direction: directionFor(stage), redraw: stale, ...more };
  }

  /** Change what is set, and show it at once; the numbers follow. */
  function set(changes) {
    Object.assign(setting, changes);
    showControls();
    sending.request();
    play.remember();
  }

  const setLogit = (i, z) => set({ logits: setting.logits.with(i, within(z, -1000, 1000)) });
  const range = () => RANGES.find((most) => setting.logits.every((z) => Math.abs(z) <= most)) ?? 1000;

  /* ── Controls ─────────────────────────────────────────────────────────────────────────────── */

  const fewer = el("button", { "aria-label": "One class fewer", onclick: () => resize(setting.logits.length - 1) }, "−");
  const more = el("button", { "aria-label": "One class more", onclick: () => resize(setting.logits.length + 1) }, "+");
  const count = el("output", { "aria-label": "Number of classes" });
  const forms = choices("Form of the loss", "form", FORMS, (form) => {
    const line = { expression: setting.expression || frame?.line || "" };
    set(form === "expression" ? { form, ...line } : { form });
    if (form === "expression") expression.focus();
  });
  const dtypes = choices("Floating point numbers", "dtype", { float64: "float64", float32: "float32" }, (dtype) => set({ dtype }));
  const targets = choices("Target", "target", { label: "a label", soft: "soft" }, (kind) => {
    const share = (c) => (c === setting.label ? 0.7 : round(0.3 / (setting.logits.length - 1)));
    set({ soft: kind === "soft" ? setting.logits.map((_, c) => share(c)) : null });
  });
  const smoothing = el("input", {
    type: "range", min: 0, max: 1, step: 0.01, "aria-label": "Label smoothing",
    oninput: () => set({ smoothing: Number(smoothing.value) }),
  });
  const smoothed = el("output");
  const expression = el("input", {
    id: "expression", type: "text", maxlength: 200, spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    "aria-describedby": "expression-error expression-help",
    oninput: () => set({ form: "expression", expression: expression.value }),
  });
  const refusal = el("p", { id: "expression-error", class: "refusal", role: "alert", hidden: true });
  const names = el("details", {}, el("summary", {}, "What can be in it"),
    el("p", { id: "expression-help", class: "note" },
      "Names: z (logits), t (label), y (target), e = exp(z), s = z − max z, C (number of classes), I (identity). ",
      "Operators: + − * / ** @ < > == [ ]. Functions, most of them as methods too: exp log log1p expm1 sqrt ",
      "square abs tanh relu sigmoid softplus, sum mean max min logsumexp with an axis, maximum minimum where clip, ",
      "softmax log_softmax, naive_cross_entropy shifted_cross_entropy margin_cross_entropy of z and t."));
  const controls = el("div", { class: "card controls" },
    field("Classes", el("span", { class: "group" }, fewer, count, more)),
    field("Target", targets.element),
    field("Label smoothing", smoothing, smoothed),
    field("Form", forms.element),
    field("Numbers", dtypes.element),
    el("div", { class: "expression" }, el("label", { for: "expression" }, "loss ="), expression),
    refusal, names);

  function resize(n) {
    const fit = (values, padding) => Array.from({ length: n }, (_, c) => values[c] ?? padding);
    const { logits, soft, label } = setting;
    if (n < LEAST || n > MOST) return;
    set({ logits: fit(logits, 0), soft: soft && fit(soft, 0), label: Math.min(label, n - 1) });
    if (setting.soft?.every((share) => share === 0)) set({ soft: setting.soft.with(setting.label, 1) });
  }

  /* ── The classes ──────────────────────────────────────────────────────────────────────────── */

  const table = el("div", { class: "card classes", role: "table", "aria-label": "Classes" });
  let rows = [];

  function classRow(c) {
    const name = `class ${c}`;
    const radio = el("input", { type: "radio", name: "label", value: c, id: `label-${c}`, onchange: () => set({ label: c }) });
    const slider = el("input", {
      type: "range", step: 0.1, "aria-label": `Logit z of ${name}`,
      oninput: () => setLogit(c, Number(slider.value)),
    });
    const number = el("input", {
      type: "number", min: -1000, max: 1000, step: "any", "aria-label": `Logit z of ${name}, as a number`,
      oninput: () => { if (number.value !== "" && number.checkValidity()) setLogit(c, Number(number.value)); },
      onblur: () => { number.value = setting.logits[c]; },
    });
    const soft = el("input", {
      type: "range", min: 0, max: 1, step: 0.01, "aria-label": `Share of ${name} in the target`,
      oninput: () => softTo(c, Number(soft.value)),
    });
    const bars = differenceBars();
    const texts = Object.fromEntries(["p", "y", "exact", "found"].map((what) => [what, el("span", { class: "digits" })]));
    const cell = (kind, head, ...content) => el("div", { class: kind, role: "cell" }, el("span", { class: "head", "aria-hidden": "true" }, head), ...content);
    const element = el("div", { class: "row", role: "row" },
      cell("name", "", radio, el("label", { for: `label-${c}` }, name)),
      cell("logit", "z", slider, number),
      cell("share", "target", soft),
      cell("bars", "p | −y", bars.element),
      cell("p", "p", texts.p),
      cell("minus", "− y", texts.y),
      cell("exact", "p − y", texts.exact),
      cell("found", "backprop", texts.found));
    return { element, radio, slider, number, soft, bars, texts };
  }

  function softTo(c, share) {
    const soft = (setting.soft ?? frame.target).with(c, within(share, 0, 1));
    if (soft.some((value) => value > 0)) set({ soft });
    else showControls();
  }

  const columns = {
    name: "label", logit: "logit z", share: "target y", bars: "p − y as bars",
    p: "p = softmax(z)", minus: "− y", exact: "= p − y", found: "∂loss/∂z by backprop",
  };
  const head = ([kind, words]) => el("div", { class: kind, role: "columnheader" }, words);
  const heads = el("div", { class: "row heads", role: "row" }, Object.entries(columns).map(head));

  function showControls() {
    const { logits, label, soft, form, dtype } = setting;
    if (rows.length !== logits.length) {
      rows = logits.map((_, c) => classRow(c));
      table.replaceChildren(heads, ...rows.map((row) => row.element));
    }
    table.classList.toggle("soft", soft != null);
    rows.forEach((row, c) => {
      row.radio.checked = c === label;
      for (const [name, value] of [["min", -range()], ["max", range()], ["value", logits[c]]]) row.slider[name] = value;
      if (document.activeElement !== row.number) row.number.value = round(logits[c]);
      row.soft.hidden = !soft;
      if (soft) row.soft.value = soft[c];
      row.element.classList.toggle("is-label", c === label);
    });
    count.textContent = logits.length;
    fewer.disabled = logits.length === LEAST;
    more.disabled = logits.length === MOST;
    forms.choose(form);
    dtypes.choose(dtype);
    targets.choose(soft ? "soft" : "label");
    smoothing.value = setting.smoothing;
    smoothed.textContent = `ε = ${setting.smoothing}`;
    if (form === "expression" && document.activeElement !== expression) expression.value = setting.expression;
  }

  /* ── What the engine finds ────────────────────────────────────────────────────────────────── */

  const outdated = el("p", { class: "note", hidden: true },
    "Numbers and graph are of the last expression that could be computed.");
  const verdict = el("p", { class: "verdict", role: "status" });
  const curve = lossCurve((probability) => {
    const others = setting.logits.toSpliced(setting.label, 1);
    const largest = Math.max(...others);
    const total = largest + Math.log(others.reduce((sum, z) => sum + Math.exp(z - largest), 0));
    setLogit(setting.label, round(total + Math.log(probability / (1 - probability))));
  });
  const stage = el("div", { class: "stage", tabindex: "0", role: "group", "aria-label": "Computation graph" });
  const graph = liveGraph(stage, {
    z: { read: (i) => setting.logits[i], write: (i, z) => setLogit(i, round(z)), range: () => 2 * range() },
    y: { read: (i) => (setting.soft ?? frame.target)[i], write: (i, share) => softTo(i, round(share)), range: () => 1 },
  });

  /** Grey out what is of another expression than the one that is written there. */
  function markOutdated(is) {
    root.classList.toggle("is-outdated", is);
    outdated.hidden = !is;
  }

  function showFrame() {
    graph.update(frame.tensors);
    if (frame.written.length !== rows.length) return; // the answer to what was set before
    frame.written.forEach((written, c) => {
      const { bars, texts, element } = rows[c];
      bars.update(frame.probabilities[c], frame.target[c]);
      for (const [what, text] of Object.entries(written)) texts[what].textContent = what === "y" ? `− ${text}` : text;
      element.dataset.kind = frame.kinds[c];
    });
    if (verdict.textContent !== frame.verdict) verdict.textContent = frame.verdict;
    verdict.dataset.kind = ["lost", "differs", "rounded"].find((kind) => frame.kinds.includes(kind)) ?? "agrees";
    curve.update(frame.curve, frame.loss, frame.loss_written, setting.label);
    if (setting.form !== "expression") expression.value = frame.line;
  }

  root.append(controls, outdated,
    el("div", { class: "beside" }, table, el("figure", { class: "card" }, curve.element)),
    verdict, el("div", { class: "card" }, stage),
    questions((changes) => set({ ...structuredClone(DEFAULTS), ...changes })));
  showControls();

  // The graph goes from top to bottom where there is little room.
  let direction = null;
  new ResizeObserver(() => {
    const now = stage.clientWidth && directionFor(stage);
    if (now && direction && now !== direction) sending.request();
    direction = now || direction;
  }).observe(stage);

  return {
    start(state) {
      Object.assign(setting, read(state));
      showControls();
      sending.request();
    },
    lost() {
      stale = true;
      sending.reset();
    },
    receive(reply) {
      if (reply.kind === "graph") graph.draw(reply);
      if (reply.kind !== "frame") return;
      frame = reply;
      stale = false;
      refusal.hidden = true;
      markOutdated(false);
      expression.removeAttribute("aria-invalid");
      showFrame();
      sending.answered();
    },
    refused(message) {
      sending.answered();
      if (setting.form !== "expression") return false;
      refusal.textContent = message;
      refusal.hidden = false;
      markOutdated(frame != null);
      expression.setAttribute("aria-invalid", "true");
      return true;
    },
    state() {
      const { logits, label, smoothing, soft, form, dtype, expression } = setting;
      return {
        logits: logits.join(), label, form, dtype,
        ...(smoothing && { smoothing }), ...(soft && { soft: soft.join() }), ...(form === "expression" && { expression }),
      };
    },
  };
}

/* ── Parts ──────────────────────────────────────────────────────────────────────────────────── */

const round = (x) => Math.round(x * 100) / 100;
const within = (x, least, most) => Math.min(Math.max(x, least), most);

/** What an address says, where it makes sense. */
function read(state) {
  const numbers = (text) => text?.split(",").map(Number).filter(Number.isFinite);
  const fits = (values) => values && values.length >= LEAST && values.length <= MOST;
  const known = structuredClone(DEFAULTS);
  const logits = numbers(state.logits), soft = numbers(state.soft);
  if (fits(logits)) known.logits = logits.map((z) => within(z, -1000, 1000));
  const n = known.logits.length;
  known.label = within(Math.trunc(Number(state.label)) || 0, 0, n - 1);
  known.smoothing = within(Number(state.smoothing) || 0, 0, 1);
  if (soft?.length === n && soft.some((share) => share > 0)) known.soft = soft.map((share) => within(share, 0, 1));
  if (Object.hasOwn(FORMS, state.form)) known.form = state.form;
  if (state.dtype === "float32") known.dtype = "float32";
  known.expression = (state.expression ?? "").slice(0, 200);
  return known;
}

const field = (name, ...content) => el("div", { class: "field" }, el("span", { class: "head" }, name), ...content);

/** Buttons of which one is chosen. */
function choices(label, name, texts, chosen) {
  const inputs = Object.entries(texts).map(([value, text]) => [
    el("input", { type: "radio", name, value, id: `${name}-${value}`, onchange: () => chosen(value) }),
    el("label", { for: `${name}-${value}` }, text),
  ]);
  return {
    element: el("span", { class: "choices", role: "radiogroup", "aria-label": label }, inputs),
    choose(value) { for (const [input] of inputs) input.checked = input.value === value; },
  };
}

/** p to the right and −y to the left, and below what is left of both. */
function differenceBars() {
  const bar = (kind, y, height) => svg("rect", { class: kind, y, height, x: 0, width: 0 });
  const p = bar("p", 1, 4), y = bar("y", 1, 4), difference = bar("difference", 6, 3);
  const zero = svg("line", { x1: 0, x2: 0, y1: 0, y2: 10 });
  const element = svg("svg", { viewBox: "-1 0 2 10", preserveAspectRatio: "none", "aria-hidden": "true" }, y, p, difference, zero);
  const place = (rect, from, to) => {
    rect.setAttribute("x", Math.min(from, to));
    rect.setAttribute("width", Math.abs(to - from));
  };
  return {
    element,
    update(probability, target) {
      place(p, 0, probability);
      place(y, -target, 0);
      place(difference, 0, probability - target);
    },
  };
}
