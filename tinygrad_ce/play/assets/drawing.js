/* What is drawn on canvases: heat maps, histograms, curves. Colors are those of the page. */

export const CLASS_COLORS = [
  "#0072b2", "#d55e00", "#009e73", "#b4589a", "#b58900", "#4b9fd5", "#7a5195", "#8c564b", "#6b7280", "#2e4057",
];

const dark = matchMedia("screen and (prefers-color-scheme: dark)"); // paper is light
const SCALES = {
  light: [[0x00, 0x5a, 0x9c], [0xf7, 0xf7, 0xf7], [0xc8, 0x52, 0x00]],
  dark: [[0x62, 0xb5, 0xee], [0x2b, 0x31, 0x38], [0xff, 0x9a, 0x4d]],
};

let known = {}; // colors, which are looked up once
dark.addEventListener("change", () => { known = {}; });

export const color = (name) =>
  (known[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());

/** Call back when the page has become light or dark. */
export const onTheme = (callback) => dark.addEventListener("change", callback);

/** The numbers of base64 of float32. */
export const floats = (text) => new Float32Array(bytes(text).buffer);

export function bytes(text) {
  const binary = atob(text);
  const array = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) array[i] = binary.charCodeAt(i);
  return array;
}

/** Split numbers into parts of these sizes. */
export function split(numbers, sizes) {
  let start = 0;
  return sizes.map((size) => numbers.subarray(start, start += size));
}

export const sizeOf = (shape) => shape.reduce((product, n) => product * n, 1);

/** A number in at most so many digits, short enough for a box. */
export function brief(value, digits = 3) {
  if (value == null || Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "−inf";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(Math.max(digits - 2, 0)) : String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", "−").replace("e+", "e");
}

export const percent = (share) => `${Math.round(100 * share)} %`;

/* ── Canvases ───────────────────────────────────────────────────────────────────────────────── */

/** The context of a canvas, of which one unit is one pixel of the page, cleared. */
export function prepare(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across || canvas.height !== down) Object.assign(canvas, { width: across, height: down });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Put an array of so many rows and columns into a picture: blue below 0, orange above. */
export function heatMap(image, numbers, rows, columns, largest = 0) {
  const scale = SCALES[dark.matches ? "dark" : "light"];
  let most = largest;
  if (!most) for (const value of numbers) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
  const { data } = image;
  for (let i = 0; i < rows * columns; i++) {
    const value = numbers[i];
    const share = Number.isFinite(value) ? Math.min(Math.abs(value) / (most || 1), 1) : 0;
    const end = scale[value < 0 ? 0 : 2];
    for (let c = 0; c < 3; c++)
      data[4 * i + c] = Number.isFinite(value) ? scale[1][c] + (end[c] - scale[1][c]) * share : 0;
    data[4 * i + 3] = 255;
  }
}

/** Draw a heat map into a canvas that has a pixel for each number. */
export function drawHeatMap(canvas, numbers, rows, columns, largest) {
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext("2d");
  canvas.image ??= context.createImageData(columns, rows);
  heatMap(canvas.image, numbers, rows, columns, largest);
  context.putImageData(canvas.image, 0, 0);
}

/** Draw counts as bars, with the ends of the axis below. */
export function drawHistogram(canvas, { low, high, counts }, fill) {
  const { context, width, height } = prepare(canvas);
  const most = Math.max(...counts, 1);
  const bottom = height - 13;
  const wide = width / counts.length;
  context.fillStyle = fill;
  counts.forEach((count, i) => {
    const tall = count ? Math.max((bottom - 2) * Math.sqrt(count / most), 1) : 0;
    context.fillRect(i * wide, bottom - tall, Math.max(wide - 0.5, 1), tall);
  });
  context.fillStyle = color("rule");
  context.fillRect(0, bottom, width, 1);
  context.fillStyle = color("muted");
  context.font = "10px system-ui, sans-serif";
  context.textAlign = "left";
  context.fillText(brief(low, 2), 0, height - 2);
  context.textAlign = "right";
  context.fillText(brief(high, 2), width, height - 2);
}

/** Draw lines of numbers over steps; null is a gap. `scale` is "log" or "linear". */
export function drawCurves(canvas, { steps, lines, colors, dashes = [], at, scale, guide }) {
  const { context, width, height } = prepare(canvas);
  const [left, right, top, bottom] = [42, width - 6, 6, height - 18];
  const values = lines.flat().filter((v) => Number.isFinite(v) && (scale !== "log" || v > 0));
  if (guide != null) values.push(guide);
  if (!values.length || right <= left) return null;
  const map = scale === "log" ? Math.log10 : (v) => v;
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    low = Math.min(low, map(v));
    high = Math.max(high, map(v));
  }
  const least = scale === "log" ? 0.3 : 0.5;
  if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
  const [first, last] = [steps[0], Math.max(steps.at(-1), steps[0] + 20)];
  const x = (step) => left + ((right - left) * (step - first)) / (last - first);
  const y = (v) => bottom - ((bottom - top) * (map(v) - low)) / (high - low);
  context.font = "10px system-ui, sans-serif";
  context.lineWidth = 1;
  for (const tick of ticksOf(low, high, scale)) {
    const place = Math.round(y(tick)) + 0.5;
    context.strokeStyle = color("rule");
    stroke(context, [[left, place], [right, place]]);
    context.fillStyle = color("muted");
    context.textAlign = "right";
    context.fillText(brief(tick, 2), left - 5, place + 3);
  }
  context.textAlign = "left";
  context.fillText(`step ${first}`, left, height - 4);
  context.textAlign = "right";
  context.fillText(String(last), right, height - 4);
  if (guide != null) {
    context.strokeStyle = color("muted");
    context.setLineDash([2, 3]);
    stroke(context, [[left, y(guide)], [right, y(guide)]]);
    context.setLineDash([]);
  }
  context.lineWidth = 1.6;
  lines.forEach((line, i) => {
    context.strokeStyle = colors[i];
    context.setLineDash(dashes[i] ?? []);
    context.beginPath();
    let pen = false;
    line.forEach((v, j) => {
      const drawn = Number.isFinite(v) && (scale !== "log" || v > 0);
      if (drawn) context[pen ? "lineTo" : "moveTo"](x(steps[j]), y(v));
      pen = drawn;
    });
    context.stroke();
  });
  context.setLineDash([]);
  if (at != null) {
    context.strokeStyle = color("ink");
    context.lineWidth = 1;
    stroke(context, [[x(at), top], [x(at), bottom]]);
  }
  return { stepAt: (place) => Math.round(first + ((place - left) / (right - left)) * (last - first)) };
}

function stroke(context, points) {
  context.beginPath();
  for (const point of points) context.lineTo(...point);
  context.stroke();
}

function ticksOf(low, high, scale) {
  if (scale === "log") {
    const found = [];
    const decades = Math.ceil((high - low) / 5); // from one tick to the next
    for (let e = Math.floor(low / decades) * decades; e <= Math.ceil(high); e += decades)
      for (const m of high - low > 1.5 ? [1] : [1, 2, 5]) found.push(m * 10 ** e);
    return found.filter((v) => Math.log10(v) >= low && Math.log10(v) <= high);
  }
  const step = high - low > 3 ? Math.ceil((high - low) / 4) : 0.5;
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high; v += step) found.push(v);
  return found;
}

/** Draw a mark of a class: each has a shape of its own, from the fifth on its number. */
export function drawMark(context, label, x, y, size, { hollow = false, ring = false } = {}) {
  const fill = CLASS_COLORS[label % CLASS_COLORS.length];
  context.beginPath();
  const shape = label % 4;
  if (shape === 0) context.arc(x, y, size, 0, 7);
  else if (shape === 1) context.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
  else {
    const points = shape === 2 ? [[0, -1.2], [1.1, 0.8], [-1.1, 0.8]] : [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]];
    for (const [dx, dy] of points) context.lineTo(x + dx * size, y + dy * size);
    context.closePath();
  }
  context.lineWidth = ring ? 3 : 1.2;
  context.fillStyle = hollow ? color("surface") : fill;
  context.strokeStyle = ring ? color("ink") : hollow ? fill : color("surface");
  if (ring) context.stroke();
  context.fill();
  context.stroke();
}
