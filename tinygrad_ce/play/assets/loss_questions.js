/* What the first part of the page asks, and how one finds out. */

import { el } from "./elements.js";

const GAP = { logits: [40, 0, 0], label: 0 };

/** The questions; `set` sets what a button says. */
export function questions(set) {
  const button = (words, changes) => el("button", { class: "try", onclick: () => set(changes) }, words);
  return el("section", { class: "card questions", "aria-label": "Questions" },
    el("h2", {}, "Find out"),
    question("Why is the gradient p − y?", [
      el("p", {}, button("Three classes, label 0", { logits: [2, 1, 0.1], label: 0 }),
        " Read the graph from the loss back, at its “grad” rows. At ÷, the gradient parts: one part goes to ",
        "the label’s eₜ alone, the other to Σe, and from there, the same, to every e. Multiply both by e, as ",
        "exp does: what do they become? Then drag z₁ and see which of the bars move."),
    ], [
      el("p", {}, "The loss is log Σ exp(z) − zₜ. Of the sum’s logarithm, each class gets exp(zⱼ) / Σ exp(z) = pⱼ: ",
        "all are pushed down, each by its probability. Of − zₜ, the label alone gets − 1, which is − y. ",
        "Together, that is p − y. Nobody programmed it: it is what is left when the contributions add up. ",
        "It is 0 only where p is y, and its elements add up to 0: what the label gains, the others lose."),
    ]),
    question("What does label smoothing do to p − y?", [
      el("p", {}, button("ε = 0.3, a confident model", { logits: [6, 0, 0], label: 0, smoothing: 0.3 }), " ",
        button("The same without", { logits: [6, 0, 0], label: 0 }),
        " Which sign has the gradient of the label, and where on the curve is it 0?"),
    ], [
      el("p", {}, "It changes y and nothing else: the label’s y becomes 1 − ε + ε/C, that of the others ε/C. ",
        "The gradient is still p − y, but it is 0 at p = y, which finite logits reach. A model that is more ",
        "confident than that is pushed back: the label’s gradient is positive. Without smoothing, it is ",
        "negative however confident the model is, and the logits grow without end."),
    ]),
    question("Where does a loss lose its gradient?", [
      el("p", {}, button("A gap of 40, naive", { ...GAP, form: "naive" }), " ",
        button("shifted", { ...GAP, form: "shifted" }), " ",
        button("margin", { ...GAP, form: "margin" }), " ",
        button("naive, float32, a gap of 18", { logits: [18, 0, 0], label: 0, dtype: "float32" }),
        " Compare p − y with what backprop finds for class 0."),
    ], [
      el("p", {}, "pₜ is 1 − 8·10⁻¹⁸, and the float64 next below 1 is 1 − 1.1·10⁻¹⁶: pₜ becomes 1. Two contributions, ",
        "− 1 and pₜ = 1, add up to 0, and the label learns nothing more. The margin form adds up exp(zⱼ − zₜ) ",
        "of the other classes only. It never makes 1 − pₜ of numbers near 1, so its gradient is right however ",
        "small it is."),
    ]));
}

function question(words, find, answer) {
  return el("details", { class: "question" }, el("summary", {}, words), find,
    el("details", { class: "answer" }, el("summary", {}, "The answer"), answer));
}
