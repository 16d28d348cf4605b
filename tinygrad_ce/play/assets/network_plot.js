/* The plot: points, the class that the model says at each place, and points drawn by hand. */

import { CLASS_COLORS, bytes, color, drawMark, floats, prepare, sizeOf } from "./drawing.js";
import { el } from "./elements.js";

const STEP = 1 / 128; // of coordinates that are drawn by hand
const MOST_DRAWN = 400;
const SPACING = 14; // pixels, from one point of a stroke to the next

/** The plot in an element. Calls chosen(index) for a point that is chosen, and drawn(points) when
    points were drawn or erased. */
export function createPlot({ chosen, drawn }) {
  const canvas = el("canvas", { class: "plot", tabindex: "0", role: "img" });
  const across = el("p", { class: "axis across" });
  const up = el("p", { class: "axis up" });
  const root = el("div", { class: "plot-frame" }, up, canvas, across);
  const region = document.createElement("canvas");
  let known = null, frame = null, points = [], marked = 0;
  let brush = null, cursor = null, last = null; // while points are drawn

  const place = (x, y) => {
    const [left, right, bottom, top] = known.domain;
    return [((x - left) / (right - left)) * canvas.clientWidth, ((top - y) / (top - bottom)) * canvas.clientHeight];
  };

  function start(description) {
    known = description;
    const read = ({ places, labels }) => {
      const numbers = floats(places);
      return labels.map((label, i) => ({ x: numbers[2 * i], y: numbers[2 * i + 1], label }));
    };
    points = read(known.train);
    points.test = known.test ? read(known.test) : [];
    frame = null;
    [across.textContent, up.textContent] = known.axes;
  }

  function show(newFrame) {
    frame = newFrame;
    marked = frame.example.index;
    paintRegion();
    draw();
  }

  function paintRegion() {
    const n = known.grid;
    Object.assign(region, { width: n, height: n });
    const context = region.getContext("2d");
    const image = context.createImageData(n, n);
    const classes = bytes(frame.region.classes), sure = bytes(frame.region.sure);
    const least = 255 / known.classes.length;
    for (let i = 0; i < sizeOf([n, n]); i++) {
      const shade = parseInt(CLASS_COLORS[classes[i] % CLASS_COLORS.length].slice(1), 16);
      image.data[4 * i] = shade >> 16;
      image.data[4 * i + 1] = (shade >> 8) & 255;
      image.data[4 * i + 2] = shade & 255;
      image.data[4 * i + 3] = 25 + 105 * Math.max((sure[i] - least) / (255 - least), 0);
    }
    context.putImageData(image, 0, 0);
  }

  function draw() {
    if (!known) return;
    const { context, width, height } = prepare(canvas);
    context.fillStyle = color("surface");
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    if (frame) context.drawImage(region, 0, 0, width, height);
    const all = brush ? brush.points.map(([x, y, label]) => ({ x, y, label })) : points;
    const size = all.length > 300 ? 2.6 : 4;
    const many = known.classes.length > 4;
    const mark = (point, options) => {
      const [x, y] = place(point.x, point.y);
      if (!many) return drawMark(context, point.label, x, y, size, options);
      context.fillStyle = CLASS_COLORS[point.label % CLASS_COLORS.length];
      context.font = `${options?.hollow ? "" : "bold "}9px system-ui, sans-serif`;
      context.textAlign = "center";
      context.fillText(String(known.classes[point.label]).slice(0, 3), x, y + 3);
    };
    if (!brush && !many) for (const point of points.test) mark(point, { hollow: true });
    for (const point of all) mark(point);
    if (frame && !brush) {
      context.lineWidth = 1;
      context.strokeStyle = color("ink");
      if (points.length <= 300 && !many)
        for (const i of frame.batch) {
          const [x, y] = place(points[i].x, points[i].y);
          context.beginPath();
          context.arc(x, y, size + 2, 0, 7);
          context.stroke();
        }
      if (points[marked]) ring(context, ...place(points[marked].x, points[marked].y));
    }
    if (brush && cursor) {
      const [x, y] = place(...cursor);
      context.strokeStyle = color("ink");
      for (const [dx, dy] of [[9, 0], [0, 9]]) {
        context.beginPath();
        context.moveTo(x - dx, y - dy);
        context.lineTo(x + dx, y + dy);
        context.stroke();
      }
    }
  }

  function ring(context, x, y) {
    for (const [radius, width, name] of [[10, 4, "surface"], [10, 2.2, "ink"]]) {
      context.beginPath();
      context.arc(x, y, radius, 0, 7);
      context.lineWidth = width;
      context.strokeStyle = color(name);
      context.stroke();
    }
  }

  /* ── Mouse and keys ─────────────────────────────────────────────────────────────────────── */

  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const [left, right, bottom, top] = known.domain;
    const snap = (v) => Math.round(v / STEP) * STEP;
    return [
      snap(left + ((event.clientX - box.left) / box.width) * (right - left)),
      snap(top - ((event.clientY - box.top) / box.height) * (top - bottom)),
    ];
  };

  const distance = (a, b) => {
    const [[x, y], [u, v]] = [place(...a), place(...b)];
    return Math.hypot(x - u, y - v);
  };

  function nearest(place) {
    let best = -1, least = 40;
    points.forEach((point, i) => {
      const away = distance(place, [point.x, point.y]);
      if (away < least) [best, least] = [i, away];
    });
    return best;
  }

  function put(point) {
    if (brush.label == null) {
      brush.points = brush.points.filter(([x, y]) => distance(point, [x, y]) > 12);
    } else if (brush.points.length < MOST_DRAWN) brush.points.push([...point, brush.label]);
    draw();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (!known || event.button) return;
    if (!brush) {
      const i = nearest(at(event));
      if (i >= 0) chosen(i);
      return;
    }
    canvas.setPointerCapture(event.pointerId);
    last = at(event);
    cursor = null;
    put(last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!brush || !last) return;
    const point = at(event);
    if (brush.label != null && distance(point, last) < SPACING) return;
    last = point;
    put(point);
  });
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, () => {
      if (!brush || !last) return;
      last = null;
      drawn(brush.points);
    });
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!known || event.ctrlKey || event.metaKey || event.altKey) return;
    if (move && !brush) chosen((marked + (move[0] || move[1]) + points.length) % points.length);
    else if (move) {
      cursor ??= [0, 0];
      cursor = cursor.map((v, i) => {
        const [low, high] = known.domain.slice(2 * i, 2 * i + 2);
        return Math.min(Math.max(v + 8 * STEP * move[i], low), high);
      });
      draw();
    } else if (brush && (event.key === "Enter" || event.key === " ")) {
      cursor ??= [0, 0];
      put(cursor.map((v) => Math.round(v / STEP) * STEP));
      drawn(brush.points);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    root, start, show, draw,
    /** Whether a stroke is being drawn, which no answer to an earlier one may disturb. */
    get drawing() { return Boolean(last); },
    /** Draw points by hand: those that there are, of a class; class null erases. Null ends it. */
    paint(list, label) {
      brush = list && { points: list, label };
      canvas.classList.toggle("drawing", Boolean(brush));
      draw();
    },
    /** The points that are seen, as they can be drawn by hand. */
    points: () => [...points, ...points.test].slice(0, MOST_DRAWN)
      .map(({ x, y, label }) => [...[x, y].map((v) => Math.round(v / STEP) * STEP), label % 4]),
    example: (i) => points[i],
    describe(words) {
      canvas.setAttribute("aria-label", words);
    },
  };
}
