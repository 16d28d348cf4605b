/* The layers: weights and gradients as heat maps, activations and gradients as histograms. */

import { brief, color, drawHeatMap, drawHistogram, floats, percent, sizeOf, split } from "./drawing.js";
import { el } from "./elements.js";

const WIDE = 168; // pixels of a heat map, at most
const LINE_COLORS = ["#0072b2", "#d55e00", "#009e73", "#b4589a", "#b58900", "#4b9fd5", "#7a5195"];

// What backprop multiplies a gradient by.
const FACTORS = { tanh: "1 − y²", sigmoid: "y(1 − y)", relu: "0 or 1" };

export const lineColor = (i) => LINE_COLORS[i % LINE_COLORS.length];

/** The layers, each of which is a row; tells what is under the mouse by told(words). */
export function createLayers({ told }) {
  const root = el("div", { class: "layers" });
  let parameters = [], activations = [], frame = null, rows = 0;

  function start(description) {
    rows = description.rows;
    let weight = 0;
    parameters = description.parameters.map((parameter) => {
      const isWeight = parameter.shape.length === 2;
      return {
        ...parameter,
        color: isWeight ? lineColor(weight++) : null,
        value: heatMapOf(parameter.cells), gradient: heatMapOf(parameter.cells),
        histogram: histogramOf(),
        facts: el("span", { class: "facts" }), ratio: el("span", { class: "facts" }),
      };
    });
    activations = description.activations.map((activation) => ({
      ...activation,
      outputs: heatMapOf([rows, activation.cells]),
      histogram: histogramOf(), gradients: histogramOf(),
      stopped: el("span", { class: "facts" }), spread: el("span", { class: "facts" }),
    }));
    // In the order of the network: weight, bias, activation.
    const shown = [];
    const left = [...activations];
    for (const [i, parameter] of parameters.entries()) {
      shown.push(rowOf(parameter));
      const next = parameters[i + 1];
      if (left.length && next?.shape.length === 2) shown.push(rowOfActivation(left.shift()));
    }
    shown.push(...left.map(rowOfActivation));
    root.replaceChildren(...shown);
  }

  const figure = (title, ...content) => el("figure", {}, el("figcaption", {}, title), content);

  function rowOf(parameter) {
    const { name, shape, value, gradient, histogram, facts, ratio, color: line } = parameter;
    const key = line && el("i", { class: "key", "aria-hidden": "true" });
    if (key) key.style.background = line;
    return el("div", { class: "layer", role: "group", "aria-label": `${name}, weights and gradients` },
      el("p", { class: "layer-name" }, el("b", {}, name), ` (${shape.join(", ")}) `, key, ratio, facts),
      figure("value", value), figure("gradient", gradient), figure("gradient, distribution", histogram));
  }

  function rowOfActivation(activation) {
    const { name, units, outputs, histogram, gradients, stopped, spread } = activation;
    return el("div", { class: "layer activation", role: "group", "aria-label": `${name}, activations` },
      el("p", { class: "layer-name" }, el("b", {}, name), ` ${units} units `, stopped, spread),
      figure(`output: ${rows} examples × units`, outputs), figure("output, distribution", histogram),
      figure("gradient that reaches it", gradients));
  }

  function heatMapOf([height, width]) {
    const canvas = el("canvas", { class: "heat", role: "img" });
    const cell = Math.min(Math.max(Math.min(WIDE / width, 120 / height), 1.5), 11);
    canvas.style.width = `${Math.max(width * cell, 8)}px`;
    canvas.style.aspectRatio = `${Math.max(width * cell, 8)} / ${Math.max(height * cell, 8)}`;
    return canvas;
  }

  const histogramOf = () => el("canvas", { class: "histogram", role: "img" });

  function show(newFrame) {
    frame = newFrame;
    const { values, gradients, ranges, histograms, ratios } = frame.parameters;
    const sizes = parameters.map((p) => sizeOf(p.cells));
    const [weights, slopes] = [split(floats(values), sizes), split(floats(gradients), sizes)];
    let weight = 0;
    parameters.forEach((p, i) => {
      p.numbers = [weights[i], slopes[i]];
      drawHeatMap(p.value, weights[i], ...p.cells, ranges[i][0] || 0);
      drawHeatMap(p.gradient, slopes[i], ...p.cells, ranges[i][1] || 0);
      drawHistogram(p.histogram, histograms[i], color("grad"));
      p.facts.textContent = `largest ${brief(ranges[i][0])}, gradient ${brief(ranges[i][1])}`;
      if (!p.color) return;
      const ratio = ratios[weight++];
      p.ratio.textContent = ratio == null ? "" : `log₁₀ update∕data ${brief(ratio, 2)}`;
    });
    const outputs = split(floats(frame.activations.values), activations.map((a) => rows * a.cells));
    frame.activations.layers.forEach((layer, i) => {
      const a = activations[i];
      a.numbers = [outputs[i]];
      drawHeatMap(a.outputs, outputs[i], rows, a.cells, a.kind === "relu" ? 0 : 1);
      drawHistogram(a.histogram, layer.histogram, color("accent"));
      drawHistogram(a.gradients, layer.gradients, color("grad"));
      const factor = FACTORS[a.kind];
      const word = a.kind === "relu" ? "zero" : "saturated";
      a.stopped.textContent = `${percent(layer.saturated)} ${word}, ${percent(layer.dead)} of units dead`;
      a.stopped.classList.toggle("is-bad", layer.saturated > 0.5 || layer.dead > 0.2);
      a.spread.textContent = `std ${brief(layer.std, 2)}, of the gradient ${brief(layer.gradient_std, 2)}, times ${factor} ${brief(layer.passed_std, 2)}`
        + (a.kind === "relu" ? "" : `, mean of ${factor}: ${brief(layer.derivative, 2)}`);
    });
  }

  /** In words, for who does not see the pictures. */
  function describe() {
    if (!frame) return;
    parameters.forEach((p, i) => {
      const [value, gradient] = frame.parameters.ranges[i];
      p.value.setAttribute("aria-label", `heat map of ${p.name}, largest magnitude ${brief(value)}`);
      p.gradient.setAttribute("aria-label", `heat map of the gradient of ${p.name}, largest magnitude ${brief(gradient)}`);
      p.histogram.setAttribute("aria-label", `histogram of the gradient of ${p.name}`);
    });
    frame.activations.layers.forEach((layer, i) => {
      const a = activations[i];
      a.outputs.setAttribute("aria-label", `heat map of ${a.name}: ${a.stopped.textContent}`);
      a.histogram.setAttribute("aria-label", `histogram of the outputs of ${a.name}: ${a.spread.textContent}`);
      a.gradients.setAttribute("aria-label", `histogram of the gradients that reach ${a.name}`);
    });
  }

  /** What is under the mouse. */
  root.addEventListener("pointermove", (event) => {
    const canvas = event.target.closest?.("canvas.heat");
    if (!canvas) return;
    const across = Math.floor((event.offsetX / canvas.clientWidth) * canvas.width);
    const down = Math.floor((event.offsetY / canvas.clientHeight) * canvas.height);
    const i = down * canvas.width + across;
    const p = parameters.find((p) => p.value === canvas || p.gradient === canvas);
    const a = activations.find((a) => a.outputs === canvas);
    if (p?.numbers && i < p.numbers[0].length) {
      const place = p.shape.length > 1 ? `${down}, ${across}` : across;
      const whole = sizeOf(p.shape) === sizeOf(p.cells) ? "" : " (of cells that are larger than a number)";
      told(`${p.name}[${place}] is ${brief(p.numbers[0][i], 4)}, its gradient ${brief(p.numbers[1][i], 4)}${whole}`);
    } else if (a?.numbers)
      told(`${a.name}: unit ${across} for example ${down} is ${brief(a.numbers[0][i], 4)}`);
  });

  return { root, start, show, describe, redraw: () => frame && show(frame) };
}
