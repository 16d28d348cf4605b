/* What the page asks, and where to look for the answer. */

import { brief } from "./drawing.js";
import { el } from "./elements.js";

/** The questions; set(settings) makes what a question is about, step() makes one step. */
export function createQuestions({ set, step }) {
  const change = el("div", { class: "change" });
  const answer = (...content) => el("details", { class: "answer" }, el("summary", {}, "The answer"), content);
  const button = (words, onclick) => el("button", { type: "button", onclick }, words);
  const moons = { data: "two_moons", points: 200, noise: 0.15, data_seed: 0, hidden: [16, 16], seed: 0, optimizer: "SGD", rates: [[0, 0.3]], batch: 32 };

  const root = el("div", { class: "questions" },
    el("section", { class: "card question" },
      el("h2", {}, "Why do saturated tanh learn slowly?"),
      el("p", {}, "Make the initial weights too large, train, and pause at about step 100. Look at each tanh layer: what is the mean of 1 − y², ",
        "and how large (std) is the gradient before and after it is multiplied by 1 − y²? And what is log₁₀ update∕data of the first weights, 0.weight? ",
        "Then compare with small weights, at the same step."),
      el("p", { class: "buttons" },
        button("Weights × 30", () => set({ ...moons, activation: "tanh", weight_scale: 30 }, true)),
        button("Weights × 1", () => set({ ...moons, activation: "tanh", weight_scale: 1 }, true)),
        button("ReLU × 30", () => set({ ...moons, activation: "relu", weight_scale: 30 }, true))),
      answer(
        el("p", {}, "Backprop multiplies the gradient that comes back through y = tanh(x) by the derivative, 1 − y². ",
          "At y = 0 that is 1; at y = ±0.97 it is 0.06, and at y = ±0.9999 it is 0.0002. An output near ±1 is called saturated: ",
          "of the gradient that arrives, little goes on to the weights before it."),
        el("p", {}, "With weights × 30, the mean of 1 − y² is about 0.06 and 0.03, and at step 100 the gradient is about a tenth or less after the factor; ",
          "with weights × 1, the mean is about 0.8 and 0.9, and the gradient hardly shrinks. The gradient that arrives is no measure of it: ",
          "it is larger with large weights, which it was multiplied by on the way."),
        el("p", {}, "What counts is how far a weight moves compared with its size: of the first weights, log₁₀ update∕data is about −3.4 at step 100, against −2.2. ",
          "So the network with saturated tanh does learn, but slowly, and its outputs stay near ±1 for long: after 500 steps its loss on the test set is still several times larger."),
        el("p", {}, "A unit that is saturated for every example, which is called dead here, gets next to no gradient. A ReLU passes the gradient on where its ",
          "output is above 0 and multiplies it by 0 elsewhere, so that a unit which is 0 for every example gets none at all, and does not learn: see how many are dead with ReLU × 30."))),
    el("section", { class: "card question" },
      el("h2", {}, "What does one step of SGD change?"),
      el("p", {}, "Make a step, and compare: each weight before and after, the gradient between them, and the loss of the same batch."),
      el("p", { class: "buttons" },
        button("Set it up", () => set({ ...moons, activation: "tanh", weight_scale: 1 }, false)),
        button("One step", step)),
      change,
      answer(
        el("p", {}, "Every weight w, and nothing else, becomes w − lr · ∂L/∂w: it moves against its gradient, by the learning rate times the gradient. ",
          "To first order, the loss of that batch falls by lr times the sum of all squared gradients. ",
          "The true change differs, since the gradient itself changes on the way; with a learning rate that is too large, the loss can rise."),
        el("p", {}, "The gradient is that of one batch: the loss of other points, and of the test set, can rise while this one falls. ",
          "Other optimizers make another step of the same gradient."))));

  const row = (name, ...cells) => el("tr", {}, el("th", { scope: "row" }, name), cells.map((cell) => el("td", {}, cell)));

  const note = (words) => change.replaceChildren(el("p", { class: "note" }, words));

  /** Show no step: it is playing, or another training has begun. */
  function clear(playing) {
    note(playing ? "Pause to see what the last step changed." : "No step has been made yet.");
  }

  function show(frame, optimizer) {
    const last = frame.last_step;
    if (!last) {
      note("No step has been made yet, or it is no longer recorded.");
      return;
    }
    const { weight } = last;
    const rows = [row("loss of the batch of this step", brief(last.before, 5), brief(last.after, 5),
      brief(last.after == null || last.before == null ? null : last.after - last.before, 3))];
    if (weight) rows.unshift(row(`${weight.name}[${weight.place.join(", ")}]`, brief(weight.before, 5), brief(weight.after, 5),
      brief(weight.after == null || weight.before == null ? null : weight.after - weight.before, 3)));
    const rate = frame.lr;
    change.replaceChildren(
      el("table", {}, el("thead", {}, el("tr", {}, ["", "before", "after", "change"].map((words) => el("th", { scope: "col" }, words)))),
        el("tbody", {}, rows)),
      el("p", {}, weight && `The gradient of this weight, the largest of its layer, was ${brief(weight.gradient, 4)}`,
        weight && rate != null && ["SGD"].includes(optimizer) ? `; −${brief(rate)} × ${brief(weight.gradient, 4)} = ${brief(-rate * weight.gradient, 3)}. ` : ". ",
        `To first order, the loss was to change by ${brief(last.predicted, 3)}: the sum of gradient × change over all weights. `,
        "The loss beside the buttons is that of the next batch."));
  }

  return { root, show, clear };
}
