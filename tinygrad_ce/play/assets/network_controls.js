/* The settings: data, network, optimizer. */

import { el } from "./elements.js";

const DATA = {
  two_moons: "Two moons", circles: "Circles", spirals: "Spirals", iris: "Iris (petals)",
  digits: "Digits (64 pixels)", drawn: "Points drawn by hand", csv: "A CSV file", given: "Your X and y",
};
const OPTIMIZERS = { SGD: "SGD", momentum: "SGD, momentum 0.9", RMSprop: "RMSprop", Adagrad: "Adagrad", Adam: "Adam", AdamW: "AdamW" };
// What is drawn: points of a class; null erases them, and undefined leaves them as they are.
const BRUSHES = { "class 0": 0, "class 1": 1, "class 2": 2, "class 3": 3, erase: null, "choose an example": undefined };
const MOST_LAYERS = 6;
const MOST_UNITS = 64;
const LARGEST_FILE = 500_000;

/** Sliders have whole positions; what they mean is on a logarithmic scale. */
const RATES = { min: -60, max: 20, read: (v) => Number((10 ** (v / 20)).toPrecision(2)), write: (x) => Math.round(20 * Math.log10(x)) };
const SCALES = { min: -10, max: 20, read: (v) => Number((10 ** (v / 10)).toPrecision(2)), write: (x) => Math.round(10 * Math.log10(x || 0.1)) };

/** The form. Calls changed(settings) for what makes another training, rate(lr) for what does not,
    brush() where something else is drawn next, and clear(). */
export function createControls({ changed, rate, brush, clear, failed }) {
  let settings = {};
  let file = null; // name, text and header of a CSV file, until its target is chosen

  let controls = 0;
  /** A control with its label, and what its value means. */
  const field = (label, input, ...shown) => {
    input.id = `network-setting-${controls++}`;
    return el("div", { class: "field" }, el("label", { for: input.id }, label), shown, input);
  };
  const select = (label, options, onchange) => {
    const input = el("select", { onchange: () => onchange(input.value) },
      Object.entries(options).map(([value, words]) => el("option", { value }, words)));
    return { input, row: field(label, input) };
  };
  const slider = (label, { min, max, step = 1, read = Number, write = (x) => x }, onchange, oninput = null) => {
    const shown = el("span", { class: "shown" });
    const say = () => {
      shown.textContent = String(read(input.value)).replace("-", "−");
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    const input = el("input", {
      type: "range", min, max, step,
      oninput: () => { say(); oninput?.(read(input.value)); },
      onchange: () => onchange(read(input.value)),
    });
    return {
      input, row: field(label, input, shown),
      set: (x) => {
        if (document.activeElement === input && input.matches(":active")) return; // it is dragged
        input.value = write(x);
        say();
        shown.textContent = String(x).replace("-", "−");
      },
    };
  };
  const number = (label, { min, max }, onchange) => {
    const input = el("input", { type: "number", min, max, step: 1, inputmode: "numeric", onchange: () => {
      const value = Math.round(Number(input.value));
      if (input.value === "" || !(value >= min && value <= max)) {
        failed(`${label}: expected a whole number from ${min} to ${max}`);
        return fill();
      }
      onchange(value);
    } });
    return { input, row: field(label, input) };
  };

  /* ── Data ───────────────────────────────────────────────────────────────────────────────── */

  const data = select("Data", DATA, (value) => {
    if (value === "csv") return chooseFile();
    changed({ data: value });
  });
  const points = slider("Points", { min: 10, max: 1000, step: 10 }, (value) => changed({ points: value }));
  const noise = slider("Noise", { min: 0, max: 0.5, step: 0.01 }, (value) => changed({ noise: value }));
  const dataSeed = number("Seed of the data", { min: 0, max: 2 ** 32 - 1 }, (value) => changed({ data_seed: value }));
  const brushes = el("div", { class: "brushes", role: "radiogroup", "aria-label": "What is drawn" },
    Object.entries(BRUSHES).map(([words, label]) => el("label", { class: "brush" },
      el("input", { type: "radio", name: "brush", value: words, checked: label === 0, onchange: brush }), words)));
  const drawing = el("div", { class: "drawing-tools" }, brushes,
    el("button", { type: "button", onclick: clear }, "Clear the points"),
    el("p", { class: "note" }, "Draw in the plot with the mouse or a finger, or with the arrow keys and Enter. The network starts again with the points."));
  const draw = el("button", { type: "button", onclick: () => changed({ data: "drawn" }) }, "Draw points");
  const picker = el("input", { type: "file", accept: ".csv,text/csv", "aria-label": "A CSV file", onchange: () => readFile(picker.files[0]) });
  const target = select("Column with the classes", {}, (value) => {
    if (file && value) changed({ data: "csv", csv: file.text, csv_name: file.name, target: value });
  });
  const csv = el("div", { class: "csv-tools" }, picker, target.row,
    el("p", { class: "note" }, "It is read by the engine on this machine, and goes nowhere else. Columns of numbers are standardized."));

  const ownData = data.input.querySelector('[value="given"]');

  /** Offer the X and y of tg.play(model, X, y), where there are such. */
  function offerGiven(given) {
    if (given) data.input.append(ownData);
    else ownData.remove();
  }
  offerGiven(false);

  function chooseFile() {
    failed("");
    csv.hidden = false;
    data.input.value = "csv";
    picker.focus();
  }

  async function readFile(chosen) {
    if (!chosen) return;
    if (chosen.size > LARGEST_FILE) return failed(`${chosen.name} has ${chosen.size.toLocaleString("en")} bytes: ${LARGEST_FILE.toLocaleString("en")} at most are read here; tg.play(model, X, y) shows larger data`);
    const text = await chosen.text();
    const names = text.split(/\r?\n/, 1)[0].split(",").map((name) => name.trim().replace(/^"(.*)"$/, "$1"));
    failed("");
    file = { name: chosen.name.slice(0, 200), text, names };
    offerTargets("");
    target.input.focus();
  }

  function offerTargets(chosen) {
    target.input.replaceChildren(...["", ...(file?.names ?? [])].map((name) =>
      el("option", { value: name, selected: name === chosen }, name || "choose…")));
  }

  /* ── Network ────────────────────────────────────────────────────────────────────────────── */

  const layers = el("div", { class: "hidden-layers", role: "group", "aria-label": "Hidden layers" });
  const activation = select("Activation", { tanh: "tanh", relu: "ReLU", sigmoid: "sigmoid" }, (value) => changed({ activation: value }));
  const scale = slider("Scale of the initial weights", SCALES, (value) => changed({ weight_scale: value }));
  const seed = number("Seed of weights and batches", { min: 0, max: 2 ** 32 - 1 }, (value) => changed({ seed: value }));

  const setHidden = (hidden, focus) => {
    changed({ hidden });
    listLayers(hidden);
    layers.querySelector(focus)?.focus();
  };

  function listLayers(hidden) {
    if (layers.dataset.shown === String(hidden)) return;
    layers.dataset.shown = String(hidden);
    const focused = document.activeElement?.dataset?.is;
    const row = (units, i) => {
      const change = (n) => setHidden(hidden.map((u, j) => (j === i ? Math.min(Math.max(n, 1), MOST_UNITS) : u)), `[data-is="${focused}"]`);
      const input = el("input", { type: "number", min: 1, max: MOST_UNITS, value: units, "aria-label": `Units of hidden layer ${i + 1}`, onchange: () => {
        input.blur();
        change(Math.round(Number(input.value)) || units);
      } });
      const button = (is, words, label, onclick, disabled) =>
        el("button", { type: "button", "data-is": `${is}${i}`, "aria-label": label, title: label, onclick, disabled }, words);
      return el("div", { class: "hidden-layer" }, input, el("span", {}, "units"),
        button("fewer", "−", `Fewer units in layer ${i + 1}`, () => change(units - 1), units <= 1),
        button("more", "+", `More units in layer ${i + 1}`, () => change(units + 1), units >= MOST_UNITS),
        button("remove", "✕", `Remove layer ${i + 1}`, () => setHidden(hidden.filter((_, j) => j !== i), "[data-is=add]")));
    };
    const add = el("button", { type: "button", "data-is": "add", disabled: hidden.length >= MOST_LAYERS,
      onclick: () => setHidden([...hidden, hidden.at(-1) ?? 16], "[data-is=add]") }, "Add a layer");
    layers.replaceChildren(...hidden.map(row), add);
    if (focused) layers.querySelector(`[data-is="${focused}"]`)?.focus();
  }

  /* ── Optimizer ──────────────────────────────────────────────────────────────────────────── */

  const optimizer = select("Optimizer", OPTIMIZERS, (value) => changed({ optimizer: value }));
  const lr = slider("Learning rate", RATES, rate);
  const batch = slider("Batch", { min: 0, max: 10, read: (v) => Math.min(2 ** v, 1000), write: (x) => Math.round(Math.log2(x)) }, (value) => changed({ batch: value }));

  const group = (title, ...content) => el("fieldset", {}, el("legend", {}, title), content);
  const root = el("form", { class: "settings card", onsubmit: (event) => event.preventDefault() },
    group("Data", data.row, points.row, noise.row, dataSeed.row, draw, csv),
    group("Network", layers, activation.row, scale.row, seed.row),
    group("Optimizer", optimizer.row, lr.row, batch.row),
    el("p", { class: "note" }, "Another learning rate counts from the next step on. All else starts the network again."));

  function fill() {
    const drawnByPage = ["two_moons", "circles", "spirals"].includes(settings.data);
    const own = settings.data === "given";
    data.input.value = settings.data;
    for (const { row } of [points, noise]) row.hidden = !drawnByPage;
    dataSeed.row.hidden = own || settings.data === "drawn";
    draw.hidden = settings.data === "drawn";
    drawing.hidden = settings.data !== "drawn";
    csv.hidden = settings.data !== "csv";
    points.set(settings.points);
    noise.set(settings.noise);
    dataSeed.input.value = settings.data_seed;
    listLayers(settings.hidden);
    for (const row of [layers, activation.row, scale.row]) row.hidden = own;
    activation.input.value = settings.activation;
    scale.set(settings.weight_scale);
    seed.input.value = settings.seed;
    optimizer.input.value = settings.optimizer;
    lr.set(settings.rates.at(-1)[1]);
    batch.set(settings.batch);
    if (settings.data === "csv" && settings.csv) {
      file ??= { name: settings.csv_name, text: settings.csv, names: settings.csv.split(/\r?\n/, 1)[0].split(",") };
      offerTargets(settings.target);
    }
  }

  return {
    root, drawing,
    set(all, given, replay) {
      settings = all;
      offerGiven(given);
      fill();
      for (const control of [...root.elements, ...drawing.querySelectorAll("button, input")])
        if (replay && control.tagName !== "FIELDSET") control.disabled = true;
    },
    get brush() { return BRUSHES[brushes.querySelector(":checked").value]; },
  };
}
