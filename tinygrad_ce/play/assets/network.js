/* A network that learns: what is seen of it, and what is asked of the session. */

import { CLASS_COLORS, brief, drawCurves, drawHeatMap, floats, onTheme, percent } from "./drawing.js";
import { el } from "./elements.js";
import * as address from "./network_address.js";
import { createControls } from "./network_controls.js";
import { createGraph } from "./network_graph.js";
import { createLayers, lineColor } from "./network_layers.js";
import { createPlot } from "./network_plot.js";
import { createQuestions } from "./network_questions.js";

const MOST_STEPS = 1001; // in the curves
const MARKS = ["●", "■", "▲", "◆"]; // of the first classes, as the plot draws them
const PACES = [1, 2, 5, 20, 100];

export function create(root, play) {
  let known = null; // what was said at the start of the training
  let settings = null;
  let frame = null;
  let playing = false;
  let stopping = false; // asked to pause, but frames from before may still come
  let curves = empty();
  let charts = {};
  let replay = false;
  let requests = 0;
  let even = false; // a frame
  let drawn = []; // points, by hand
  let wanted = 0; // the example of the address, until there is a training

  function empty() {
    return { steps: [], losses: [], test_losses: [], ratios: [] };
  }

  /* ── Elements ───────────────────────────────────────────────────────────────────────────── */

  const told = (words) => { pointed.textContent = words; };
  const plot = createPlot({
    chosen: (index) => send("example", { index }),
    drawn(points) {
      drawn = points;
      if (points.length) change({ data: "drawn", drawn: points });
      else paint([]);
    },
  });
  const graph = createGraph({ told: (words) => { contribution.textContent = words; } });
  const layers = createLayers({ told });
  const questions = createQuestions({
    set(fields, run) {
      change(fields, { play: run });
      if (run) root.querySelector(".layers-card").scrollIntoView({ block: "nearest" });
    },
    step: () => step(),
  });
  const controls = createControls({
    changed: change,
    rate: (lr) => send("rate", { lr }),
    brush: () => settings?.data === "drawn" && paint(),
    clear: () => paint([]),
    failed(words) {
      play.forgive();
      say(words);
    },
  });

  const button = (words, label, onclick, more = {}) =>
    el("button", { type: "button", title: label, onclick, ...more }, words);
  const playButton = button("▶ Play", "Play or pause (space)", toggle, { class: "main" });
  const stepButton = button("Step", "One step of training (→)", () => step());
  const backButton = button("Backward step", "One contribution to a gradient, in the graph of the example (b)", backward);
  const restart = button("Restart", "Start again with the same settings (r)", () => change({}));
  const scrub = el("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step that is shown", oninput: () => scrubTo(Number(scrub.value)) });
  const counter = el("output", { class: "counter" });
  const pace = el("select", { "aria-label": "Steps of training for each picture", onchange: () => playing && send("play", { pace: Number(pace.value) }) },
    PACES.map((n) => el("option", { value: n }, n === 1 ? "1 step" : `${n} steps`)));
  const exportButton = button("Export the recording", "One file that replays it, without Python", () => send("export"));
  const status = el("p", { class: "status", role: "status" });
  const pointed = el("p", { class: "note pointed" });
  const contribution = el("p", { class: "contribution", role: "status" });
  const example = el("p", { class: "example" });
  const image = el("canvas", { class: "image", role: "img", "aria-label": "the example as an image", hidden: true });
  const lossChart = el("canvas", { class: "chart", role: "img" });
  const ratioChart = el("canvas", { class: "chart short", role: "img" });
  const facts = el("p", { class: "facts-line" });
  const legend = el("p", { class: "legend" });
  const key = (words, style) => el("span", { class: "key-words" }, el("i", { class: `key ${style}`, "aria-hidden": "true" }), words);

  root.append(
    controls.root,
    el("section", { class: "card seen", "aria-label": "Data and what the network says" },
      plot.root,
      controls.drawing,
      legend,
      el("p", { class: "note" }, key("training", "is-train"), key("test", "is-test"), key("in this batch", "is-batch"),
        "Click on a point to see its graph.")),
    el("section", { class: "card curves", "aria-label": "Curves" },
      el("h2", {}, "Loss"),
      lossChart,
      el("p", { class: "note" }, key("of the batch", "is-loss"), key("of the test set", "is-test-loss"), "Click on it to go to a step."),
      el("h2", {}, "Update to data, log₁₀"),
      ratioChart,
      el("p", { class: "note" }, "Of each weight: the standard deviation of its last update over its own. About −3, the dotted line, is a usual value."),
      exportButton),
    el("div", { class: "player card", role: "group", "aria-label": "Training" },
      playButton, stepButton, backButton, restart, pace, el("span", { class: "scrubbing" }, scrub, counter), el("div", { class: "said" }, facts, status)),
    el("section", { class: "card layers-card", "aria-label": "Layers" },
      el("h2", {}, "Layers"),
      el("p", { class: "note" }, "Blue is below 0, orange above. Under each distribution are its ends."),
      layers.root, pointed),
    el("section", { class: "card graph-card", "aria-label": "One example" },
      el("div", { class: "graph-head" },
        el("h2", {}, "One example, and its gradient flowing back"), example, image,
        el("span", { class: "buttons" },
          button("‹", "The example before", () => turn(-1), { "aria-label": "The example before" }),
          button("›", "The next example", () => turn(1), { "aria-label": "The next example" }),
          button("−", "Zoom out", () => graph.zoom(1 / 1.25), { "aria-label": "Zoom out" }),
          button("+", "Zoom in", () => graph.zoom(1.25), { "aria-label": "Zoom in" }),
          button("Fit", "Fit the graph into the page", graph.fit))),
      contribution, graph.view,
      el("p", { class: "note" }, "An edge is the thicker, the larger the gradient that comes back along it. “Backward step” shows one contribution after the other; “Step through” has the rule and the numbers of each.")),
    questions.root,
  );

  /* ── What is asked ──────────────────────────────────────────────────────────────────────── */

  const send = (what, fields) => play.send(what, fields);

  function say(words) {
    status.textContent = words;
  }

  function change(fields, { play: run = playing } = {}) {
    if (fields.data === "drawn" && !fields.drawn) return startPainting();
    if (fields.data !== "drawn") plot.paint(null);
    graph.end();
    begin({ ...fields, play: run });
  }

  /** Ask for another training. Only what answers the latest request is put into the form. */
  function begin(fields) {
    send("set", { ...fields, request: ++requests });
  }

  function startPainting() {
    const points = settings.drawn.length ? settings.drawn : known.features === 2 && !known.image ? plot.points() : [[-0.5, 0, 0], [0.5, 0, 1]];
    begin({ data: "drawn", drawn: points, play: playing });
    plot.root.scrollIntoView({ block: "nearest" });
  }

  /** Draw by hand: with the points that were drawn last, or those given. */
  function paint(points = drawn) {
    drawn = points;
    if (playing && !points.length) toggle();
    plot.paint(controls.brush === undefined ? null : points, controls.brush);
    if (!points.length) say("There are no points: draw some of two classes.");
  }

  function toggle() {
    graph.end();
    setPlaying(!playing);
    stopping = !playing;
    if (playing) send("play", { pace: Number(pace.value) });
    else send("pause");
  }

  function setPlaying(on) {
    if (on === playing) return;
    playing = on;
    showQuestions();
    playButton.textContent = on ? "❚❚ Pause" : "▶ Play";
    if (!on) settled();
  }

  /** What takes time is done while it is not playing. */
  function settled() {
    drawAll();
    layers.describe();
    describe();
    play.remember();
  }

  function step(n = 1) {
    graph.end();
    send("step", { n });
  }

  function scrubTo(target) {
    graph.end();
    stopping = playing || stopping;
    setPlaying(false);
    send("show", { step: target });
  }

  function backward() {
    if (graph.stepping) {
      if (!graph.next()) {
        graph.end();
        contribution.textContent = "All contributions are in: these are the gradients of this example.";
      }
      return;
    }
    send("backward");
  }

  const turn = (by) => frame && send("example", { index: (frame.example.index + by + known.n) % known.n });

  /* ── What is answered ───────────────────────────────────────────────────────────────────── */

  const RECEIVE = {
    started(reply) {
      known = reply;
      settings = reply.settings;
      replay = Boolean(reply.replay);
      curves = empty();
      frame = null;
      showQuestions();
      if (reply.request === requests || !reply.request) controls.set(settings, reply.given, replay);
      plot.start(reply);
      layers.start(reply);
      listClasses();
      for (const control of [exportButton, backButton, restart]) control.disabled = replay;
      say("");
      if (reply.request === requests) play.forgive();
      if (settings.data === "drawn" && reply.request === requests && !plot.drawing) paint(settings.drawn.map((point) => [...point]));
      stopping = false;
      setPlaying(reply.playing);
    },
    graph: (reply) => graph.start(reply),
    frame(reply) {
      graph.end();
      frame = reply;
      stopping &&= reply.running;
      setPlaying(reply.running && !stopping);
      addCurves(reply.curves);
      show();
      if (!playing) settled();
    },
    curves(reply) {
      addCurves(reply);
    },
    rates(reply) {
      settings.rates = reply.rates;
      if (frame?.loss != null) say("");
      play.remember();
    },
    paused() {
      stopping = false;
      setPlaying(false);
    },
    backward(reply) {
      example.closest(".graph-card").scrollIntoView({ block: "start" });
      graph.show(frame.example);
      graph.back(reply.steps);
    },
    exporting: (reply) => say(`The recording is being written: ${percent(reply.share)}.`),
    file: save,
  };

  function save({ name, text }) {
    const href = URL.createObjectURL(new Blob([text], { type: "text/html" }));
    el("a", { href, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(href), 10_000);
    say(`${name}: ${brief(text.length / 1e6, 2)} MB, which replays the recording without Python.`);
  }

  function addCurves(more) {
    if (!more) return;
    if (more.steps.length && more.steps[0] <= curves.steps.at(-1)) curves = empty();
    for (const [name, list] of Object.entries(curves)) {
      list.push(...more[name]);
      list.splice(0, Math.max(list.length - MOST_STEPS, 0));
    }
  }

  function listClasses() {
    const { classes } = known;
    const name = (words, i) => el("span", { class: "key-words" }, classes.length > 4 ? null : colored(MARKS[i], i), words);
    const shown = classes.length > 12 ? [] : classes.map((words, i) => name(classes.length > 4 ? colored(words, i) : words, i));
    legend.replaceChildren(...shown);
  }

  function colored(words, i) {
    const mark = el("b", {}, words);
    mark.style.color = CLASS_COLORS[i % CLASS_COLORS.length];
    return mark;
  }

  /* ── What is seen ───────────────────────────────────────────────────────────────────────── */

  function show() {
    if (!frame || !known) return;
    // While it plays, what is beside the plot is drawn at every other frame.
    even = !even;
    let other = even;
    for (const [section, draw] of drawings) {
      if (inView.has(section) && (!playing || section === plot.root || other)) draw();
      other = !other;
    }
    showExample();
    Object.assign(scrub, { min: frame.first, max: frame.last, value: frame.step });
    scrub.setAttribute("aria-valuetext", `step ${frame.step} of ${frame.last}`);
    counter.textContent = frame.step === frame.last ? `step ${frame.step}` : `step ${frame.step} of ${frame.last}`;
    const parts = [`loss ${brief(frame.loss, 3)}`];
    if (frame.test_loss != null) parts.push(`test ${brief(frame.test_loss, 3)}`);
    parts.push(`right in the batch ${percent(frame.accuracy)}`);
    if (frame.test_accuracy != null) parts.push(`in the test set ${percent(frame.test_accuracy)}`);
    facts.textContent = parts.join(" · ");
    if (frame.loss == null) say("The loss is no number any more: the learning rate is too large. Restart with a smaller one.");
    else if (playing) say("");
  }

  /** What is drawn where: only what is in view, and the rest once it is. */
  const drawings = new Map([
    [plot.root, () => plot.show(frame)],
    [layers.root, () => layers.show(frame)],
    [graph.view, () => graph.show(frame.example)],
    [ratioChart, showRatios],
    [lossChart, showLosses],
    [questions.root, showQuestions],
  ]);
  const inView = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      inView[isIntersecting ? "add" : "delete"](target);
      if (isIntersecting && frame) drawings.get(target)();
    }
  }, { rootMargin: "200px" });
  for (const section of drawings.keys()) watch.observe(section);

  function drawAll() {
    if (frame) for (const draw of drawings.values()) draw();
  }

  function showQuestions() {
    if (playing || !frame) return questions.clear(playing);
    const rate = settings.rates.filter(([from]) => from < Math.max(frame.step, 1)).at(-1)[1];
    questions.show({ ...frame, lr: rate }, settings.optimizer);
  }

  function showLosses() {
    const { steps, losses, test_losses: tests } = curves;
    charts.loss = drawCurves(lossChart, {
      steps, lines: [losses, tests], colors: ["#c85200", "#4b9fd5"], dashes: [[], [5, 3]], at: frame.step, scale: "log",
    });
  }

  function showRatios() {
    const { steps, ratios } = curves;
    const count = ratios.at(-1)?.length ?? 0;
    charts.ratio = drawCurves(ratioChart, {
      steps, lines: Array.from({ length: count }, (_, i) => ratios.map((row) => row[i])),
      colors: Array.from({ length: count }, (_, i) => lineColor(i)), at: frame.step, scale: "linear", guide: -3,
    });
  }

  function showExample() {
    const { index, label, x } = frame.example;
    const values = x.length <= 4 ? `x = (${x.map((v) => brief(v)).join(", ")}), ` : "";
    const chances = frame.example.p.map((p, i) => `${known.classes[i]}: ${percent(p)}`);
    const said = chances.length <= 4 ? chances.join(", ") : chances.filter((_, i) => i === label || frame.example.p[i] > 0.2).join(", ");
    example.textContent = `Example ${index} of ${known.n}: ${values}class ${known.classes[label]}. The network says ${said}.`;
    image.hidden = !known.image;
    if (known.image && x.length) drawHeatMap(image, Float32Array.from(x), ...known.image);
  }

  function describe() {
    if (!frame) return;
    plot.describe(`Data and decision regions after ${frame.step} steps: ${facts.textContent}. Arrow keys choose another example.`);
    lossChart.setAttribute("aria-label", `The loss of the last ${curves.steps.length} steps, now ${brief(frame.loss)}`);
    ratioChart.setAttribute("aria-label", "Update to data of each weight, over the last steps");
  }

  const redraw = () => {
    plot.draw();
    show();
  };

  for (const [canvas, name] of [[lossChart, "loss"], [ratioChart, "ratio"]])
    canvas.addEventListener("click", (event) => {
      if (!charts[name]) return;
      scrubTo(Math.min(Math.max(charts[name].stepAt(event.offsetX), frame.first), frame.last));
    });

  const KEYS = { " ": toggle, ArrowRight: () => step(), ArrowLeft: () => frame && scrubTo(Math.max(frame.step - 1, frame.first)), b: backward, r: () => !replay && change({}) };

  document.addEventListener("keydown", (event) => {
    if (root.hidden || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("input, select, textarea, [role=tab], .graph-view") || (event.key === " " && event.target.closest?.("button, summary"))) return;
    const action = KEYS[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  onTheme(drawAll);
  addEventListener("beforeprint", drawAll);
  let width = 0;
  new ResizeObserver(() => {
    if (root.clientWidth === width || !root.clientWidth) return;
    width = root.clientWidth;
    redraw();
  }).observe(root);

  return {
    start(state, resumed) {
      wanted = Number(state.example) || 0;
      if (resumed) send("resume");
      else {
        begin(address.read(state));
        if (wanted > 0) send("example", { index: wanted });
      }
    },
    receive: (reply) => RECEIVE[reply.kind]?.(reply),
    refused() {
      stopping = false;
      setPlaying(false); // as the session has stopped
      if (known) controls.set(settings, known.given, replay);
      return false;
    },
    hide: () => playing && toggle(),
    show: () => redraw(),
    state: () => (frame && settings ? address.write(settings, { step: frame.step, example: frame.example.index }) : {}),
  };
}
