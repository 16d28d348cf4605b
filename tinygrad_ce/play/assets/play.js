/* The page around its parts: tabs, connection, address, code, the stepping page. */

import { connect } from "./connection.js";
import { $ } from "./elements.js";
import * as computation from "./computation.js";
import * as loss from "./one_loss.js";
import * as network from "./network.js";

const MODULES = { computation, loss, network };

const states = readAddress(); // of each part, as last remembered
const parts = {};
let available = []; // the parts that the session has
let active = states.part;
let started = new Set(); // parts that the session knows
let resumed = false;

const connection = connect({
  opened: () => {
    $("connection").textContent = "connecting…";
    connection.send({ part: "session", do: "open" });
  },
  received,
  lost: () => {
    for (const name of started) parts[name].lost?.();
    started = new Set();
    $("connection").textContent = "connection lost, trying again… Is tinygrad-ce play still running?";
    document.body.classList.add("is-lost");
  },
});

/* ── Messages ───────────────────────────────────────────────────────────────────────────────── */

function received(reply) {
  const part = parts[reply.part];
  if (reply.kind === "opened") ready(reply);
  else if (reply.kind === "error") part?.refused?.(reply.message) || alert(reply.message);
  else if (reply.kind === "code") showCode(reply.text);
  else if (reply.kind === "frozen") showStepping(reply);
  else part?.receive(reply);
  if (reply.kind === "frame")
    requestAnimationFrame(() => connection.send({ part: "session", do: "drawn" }));
}

function ready(reply) {
  $("connection").textContent = reply.recording ? "a recording, which needs no Python" : "connected";
  $("step-through").hidden = Boolean(reply.recording);
  document.body.classList.remove("is-lost");
  resumed = reply.resumed;
  available = reply.parts;
  for (const tab of $("tabs").children) tab.hidden = !available.includes(tab.dataset.part);
  show(available.includes(active) ? active : reply.first);
}

function alert(message) {
  $("alert").textContent = message;
  $("alert").hidden = !message;
}

/** What a part gets to talk to its part of the session. */
function playOf(name) {
  const play = {
    send(what, fields = {}) {
      alert("");
      return started.has(name) && connection.send({ part: name, do: what, ...fields });
    },
    /** Take back what was said to be wrong: a later choice was right. */
    forgive: () => alert(""),
    remember() {
      states[name] = parts[name].state();
      writeAddress();
    },
    freeze: () => ({}),
  };
  return play;
}

/* ── Parts ──────────────────────────────────────────────────────────────────────────────────── */

const plays = {};

function show(name) {
  if (active !== name) parts[active]?.hide?.();
  active = name;
  for (const tab of $("tabs").children) {
    const chosen = tab.dataset.part === name;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    $(tab.dataset.part).hidden = !chosen;
  }
  plays[name] ??= playOf(name);
  parts[name] ??= MODULES[name].create($(name), plays[name]);
  if (!started.has(name)) {
    started.add(name);
    parts[name].start(states[name] ?? {}, resumed);
  }
  parts[name].show?.();
  writeAddress();
}

$("tabs").addEventListener("click", (event) => {
  const tab = event.target.closest("[data-part]");
  if (tab) show(tab.dataset.part);
});

$("tabs").addEventListener("keydown", (event) => {
  const tabs = [...$("tabs").children].filter((tab) => !tab.hidden);
  const turn = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!turn) return;
  const next = tabs.at((tabs.indexOf(document.activeElement) + turn) % tabs.length);
  show(next.dataset.part);
  next.focus();
});

/* ── The address ────────────────────────────────────────────────────────────────────────────── */

function readAddress(address = location.href) {
  const { hash } = new URL(address);
  const { part, ...state } = Object.fromEntries(new URLSearchParams(hash.slice(1)));
  return { part, [part]: state };
}

let writing = null;

/** Put the state into the address, not too often, which browsers refuse. */
function writeAddress() {
  writing ??= setTimeout(() => {
    writing = null;
    const fields = new URLSearchParams({ part: active, ...states[active] });
    if (location.protocol !== "about:") history.replaceState(null, "", `#${fields}`);
  }, 250);
}

addEventListener("hashchange", (event) => {
  clearTimeout(writing); // what was to be written is older
  writing = null;
  Object.assign(states, readAddress(event.newURL));
  if (!available.includes(states.part)) return;
  if (started.has(states.part)) parts[states.part].start(states[states.part], true);
  show(states.part);
});

/* ── Code and stepping page ─────────────────────────────────────────────────────────────────── */

$("show-code").addEventListener("click", () => plays[active]?.send("code"));

function showCode(text) {
  $("code").querySelector("code").textContent = text;
  $("code").showModal();
}

$("copy-code").addEventListener("click", async () => {
  const code = $("code").querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    $("copy-code").textContent = "Copied";
  } catch { // in a notebook's frame, it is not allowed
    getSelection().selectAllChildren(code);
    $("copy-code").textContent = "Selected";
  }
  setTimeout(() => { $("copy-code").textContent = "Copy"; }, 1500);
});

$("step-through").addEventListener("click", () => {
  const fields = plays[active]?.freeze();
  if (fields) plays[active].send("freeze", fields);
});

function showStepping({ page, html }) {
  const frame = $("stepping").querySelector("iframe");
  if (html) frame.srcdoc = html;
  else frame.src = connection.addressOf(page);
  $("stepping").showModal();
}

$("stepping").addEventListener("close", () => {
  for (const name of ["src", "srcdoc"]) $("stepping").querySelector("iframe").removeAttribute(name);
});
