/* The state of the network in the address: short texts, of what differs from the defaults. */

const DEFAULTS = {
  data: "two_moons", points: 200, noise: 0.15, data_seed: 0, hidden: [16, 16], activation: "tanh",
  weight_scale: 1, optimizer: "SGD", batch: 32, seed: 0,
};
const OWN = ["optimizer", "batch", "seed"]; // which have other defaults for a model of one's own
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const REACH = 3, CELLS = 128; // drawn points lie on a lattice, 128 to a unit
const MOST = 20_000; // steps that a link trains again

/** What is in the address. */
export function write(settings, { step, example }) {
  const state = {};
  const own = settings.data === "given";
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const value = settings[name];
    if (String(value) !== String(usual) || (own && OWN.includes(name))) state[name] = Array.isArray(value) ? value.join("-") || "none" : value;
  }
  if (settings.data === "drawn") state.drawn = settings.drawn.map(pointAsText).join("");
  if (settings.data === "csv") delete state.data; // a file is not in the address
  const rates = settings.rates.map(([from, rate]) => (from ? `${from}:${rate}` : rate)).join(",");
  if (rates !== "0.3" || own) state.lr = rates;
  if (step) state.steps = Math.min(step, MOST);
  if (example) state.example = example;
  return state;
}

/** The fields of "set", from what is in the address; what makes no sense there is left out. */
export function read(state) {
  const fields = {};
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const text = state[name];
    if (text == null || text === "") continue;
    if (Array.isArray(usual)) fields[name] = text === "none" ? [] : String(text).split("-").map(Number);
    else fields[name] = typeof usual === "number" ? Number(text) : text;
    if ([fields[name]].flat().some(Number.isNaN)) delete fields[name];
  }
  if (state.drawn) fields.drawn = textAsPoints(state.drawn);
  if (state.lr) fields.rates = String(state.lr).split(",").map((part) => {
    const [from, rate] = part.includes(":") ? part.split(":") : [0, part];
    return [Number(from), Number(rate)];
  });
  if (fields.rates?.flat().some(Number.isNaN)) delete fields.rates;
  if (Number(state.steps) > 0) fields.steps = Math.min(Math.round(Number(state.steps)), MOST);
  return fields;
}

const two = (v) => DIGITS[v >> 6] + DIGITS[v & 63];
const pointAsText = ([x, y, label]) => [x, y].map((v) => two(Math.round((v + REACH) * CELLS))).join("") + DIGITS[label];

function textAsPoints(text) {
  const points = [];
  const value = (a, b) => (64 * DIGITS.indexOf(a) + DIGITS.indexOf(b)) / CELLS - REACH;
  for (const [, a, b, c, d, label] of String(text).matchAll(/([\w-])([\w-])([\w-])([\w-])([\w-])/g))
    points.push([value(a, b), value(c, d), DIGITS.indexOf(label)]);
  return points;
}
