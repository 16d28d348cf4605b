/* One's own computation: its values and gradients move with its tensors. */

import { el, svg } from "./elements.js";
import { latest } from "./latest.js";
import { directionFor, liveGraph } from "./live_graph.js";

export function create(root, play) {
  let inputs = []; // what can be moved, with the values that were moved to
  let wanted = null; // values of an address, until the inputs are known
  let stale = true; // whether there is a graph to put numbers into
  const sending = latest(() => play.send("set", {
    values: inputs.map((input) => input.values), direction: directionFor(stage), redraw: stale,
  }));

  const table = el("div", { class: "card numbers", role: "table", "aria-label": "Numbers" });
  const output = el("p", { class: "verdict", role: "status" });
  const stage = el("div", { class: "stage", tabindex: "0", role: "group", "aria-label": "Computation graph" });
  const graph = liveGraph(stage, new Proxy({}, { get: (_, name) => handleOf(name) }));
  let rows = [];
  root.append(table, output, el("div", { class: "card" }, stage));

  function handleOf(name) {
    const n = inputs.findIndex((input) => input.name === name);
    return n < 0 ? undefined : {
      read: (i) => inputs[n].values[i],
      write: (i, value) => move(n, i, rounded(value)),
      range: () => 2 * inputs[n].range,
    };
  }

  function move(n, i, value) {
    inputs[n].values[i] = Math.min(Math.max(value, -1e6), 1e6);
    show();
    sending.request();
    play.remember();
  }

  function build() {
    rows = inputs.flatMap((input, n) => input.values.map((_, i) => rowOf(input, n, i)));
    const head = ["", "value", "gradient", "as a bar"].map((words) => el("div", { role: "columnheader" }, words));
    table.replaceChildren(el("div", { class: "row heads", role: "row" }, head), ...rows.map((row) => row.element));
  }

  function rowOf(input, n, i) {
    const name = input.shape.length ? `${input.name}[${place(i, input.shape)}]` : input.name;
    const slider = el("input", {
      type: "range", min: -input.range, max: input.range, step: input.range / 200, "aria-label": name,
      oninput: () => move(n, i, Number(slider.value)),
    });
    const number = el("input", {
      type: "number", min: -1e6, max: 1e6, step: "any", "aria-label": `${name}, as a number`,
      oninput: () => { if (number.value !== "" && number.checkValidity()) move(n, i, Number(number.value)); },
      onblur: () => { number.value = inputs[n].values[i]; },
    });
    const gradient = el("span", { class: "digits" });
    const bar = svg("rect", { y: 2, height: 6 });
    const bars = svg("svg", { viewBox: "-1 0 2 10", preserveAspectRatio: "none", "aria-hidden": "true" }, bar, svg("line", { x1: 0, x2: 0, y1: 0, y2: 10 }));
    const cell = (kind, ...content) => el("div", { class: kind, role: "cell" }, content);
    const element = el("div", { class: "row", role: "row" },
      cell("name", name), cell("logit", slider, number), cell("found", gradient), cell("bars", bars));
    return { element, slider, number, gradient, bar, n, i };
  }

  function show() {
    for (const { slider, number, n, i } of rows) {
      const value = inputs[n].values[i];
      slider.value = value;
      if (document.activeElement !== number) number.value = rounded(value);
    }
  }

  return {
    start(state) {
      wanted = state.values ? state.values.split(";").map((list) => list.split(",").map(Number)) : null;
      play.send("describe");
    },
    lost() {
      stale = true;
      sending.reset();
    },
    receive(reply) {
      if (reply.kind === "graph") graph.draw(reply);
      if (reply.kind === "inputs") {
        inputs = reply.inputs.map((input, n) => {
          const fits = wanted?.[n]?.length === input.values.length && wanted[n].every(Number.isFinite);
          const values = (fits ? wanted[n] : input.values).map(Number);
          const largest = Math.max(1, ...values.map(Math.abs));
          return { ...input, values, range: 2 * 10 ** Math.ceil(Math.log10(largest)) };
        });
        build();
        show();
        sending.request();
      }
      if (reply.kind !== "frame") return;
      stale = false;
      graph.update(reply.tensors);
      output.textContent = `output ${reply.output}`;
      const all = reply.gradients.flat().map((g) => Math.abs(g)).filter(Number.isFinite);
      const largest = Math.max(...all, 1e-300);
      for (const { gradient, bar, n, i } of rows) {
        const g = reply.gradients[n]?.[i];
        gradient.textContent = reply.written[n]?.[i] ?? "constant";
        const share = Number.isFinite(g) ? g / largest : 0;
        bar.setAttribute("x", Math.min(0, share));
        bar.setAttribute("width", Math.abs(share));
      }
      sending.answered();
    },
    refused() {
      sending.answered();
      return false;
    },
    state: () => ({ values: inputs.map((input) => input.values.map(rounded).join()).join(";") }),
  };
}

const rounded = (x) => Number(x.toPrecision(6));

/** The index of an element, as in Python. */
function place(flat, shape) {
  const index = [];
  for (const n of [...shape].reverse()) {
    index.unshift(flat % n);
    flat = Math.floor(flat / n);
  }
  return index.join(", ");
}
