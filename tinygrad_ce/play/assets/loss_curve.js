/* The loss against the probability of the label, and the place on the curve. */

import { svg } from "./elements.js";

const WIDTH = 360, HEIGHT = 250;
const LEFT = 38, RIGHT = 350, TOP = 12, BOTTOM = 212;

/** A plot in which the place can be dragged: `moveTo` gets a probability. */
export function lossCurve(moveTo) {
  const text = (x, y, words, kind = "") => svg("text", { x, y, class: kind }, words);
  const path = svg("path", { class: "curve" });
  const best = svg("line", { class: "best", y1: TOP, y2: BOTTOM });
  const bestLabel = text(0, TOP + 9, "", "best");
  const drop = svg("path", { class: "drop" });
  const place = svg("circle", { class: "place", r: 6 });
  const caption = svg("text", { class: "caption", x: (LEFT + RIGHT) / 2, y: HEIGHT - 6 });
  const yTicks = svg("g");
  const xTicks = [0, 0.25, 0.5, 0.75, 1].map((p) => text(xOf(p), BOTTOM + 15, String(p), "x"));
  const frame = svg("path", { class: "axes", d: `M${LEFT} ${TOP}V${BOTTOM}H${RIGHT}` });
  const clip = svg("clipPath", { id: "curve-clip" }, svg("rect", { x: LEFT, y: TOP, width: RIGHT - LEFT, height: BOTTOM - TOP }));
  path.setAttribute("clip-path", "url(#curve-clip)");
  const element = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" },
    clip, frame, xTicks, yTicks, best, bestLabel, path, drop, place, caption);

  function xOf(p) { return LEFT + p * (RIGHT - LEFT); }

  let dragged = false;
  const drag = (event) => {
    const box = element.getBoundingClientRect();
    const p = (((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (RIGHT - LEFT);
    moveTo(Math.min(Math.max(p, 0.001), 0.999));
  };
  element.addEventListener("pointerdown", (event) => {
    dragged = true;
    element.setPointerCapture(event.pointerId);
    drag(event);
  });
  element.addEventListener("pointermove", (event) => { if (dragged) drag(event); });
  for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, () => { dragged = false; });

  return {
    element,
    update(curve, loss, written, label) {
      const least = Math.min(...curve.loss.filter(Number.isFinite));
      const highest = least < 3 ? 6 : Math.ceil(least) + 3;
      const yOf = (l) => BOTTOM - (l / highest) * (BOTTOM - TOP);
      path.setAttribute("d", curve.p.map((p, i) => `${i ? "L" : "M"}${xOf(p).toFixed(1)} ${yOf(Math.min(curve.loss[i], 2 * highest)).toFixed(1)}`).join(""));
      const ticks = Array.from({ length: 4 }, (_, i) => (highest / 3) * i);
      yTicks.replaceChildren(...ticks.map((l) => text(LEFT - 6, yOf(l) + 4, String(Math.round(l * 10) / 10), "y")));
      const isSmooth = curve.best < 1;
      best.style.display = bestLabel.style.display = isSmooth ? "" : "none";
      for (const x of ["x1", "x2"]) best.setAttribute(x, xOf(curve.best));
      bestLabel.setAttribute("x", xOf(curve.best) + (curve.best > 0.6 ? -4 : 4));
      bestLabel.style.textAnchor = curve.best > 0.6 ? "end" : "start";
      bestLabel.textContent = `least at p = y = ${Math.round(curve.best * 1000) / 1000}`;
      const x = xOf(curve.probability);
      const y = Number.isFinite(loss) ? yOf(Math.min(Math.max(loss, 0), highest)) : TOP;
      place.setAttribute("cx", x);
      place.setAttribute("cy", y);
      place.classList.toggle("outside", !(loss >= 0 && loss <= highest));
      drop.setAttribute("d", `M${x} ${y}V${BOTTOM}M${x} ${y}H${LEFT}`);
      caption.textContent = `loss ${written} at p of class ${label}`;
      element.setAttribute("aria-label", `Loss against probability: loss ${written} at probability ${curve.probability.toPrecision(4)} of class ${label}`);
    },
  };
}
