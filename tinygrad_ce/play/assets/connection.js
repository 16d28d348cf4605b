/* The connection to the session: a WebSocket that is opened again when it is lost; in a notebook,
   messages to the window around the page; in an exported page, what was recorded. */

import { inRecording } from "./recording.js";

const LONGEST_WAIT = 4000; // ms, from one attempt to the next

/** Connect; call opened(), received(message) and lost(). Returns send(message), which says
    whether it could, and addressOf(page), where the server has a page of the session. */
export function connect(to) {
  const transports = { notebook: inNotebook, recording: inRecording };
  return (transports[document.documentElement.dataset.transport] ?? bySocket)(to);
}

function inNotebook({ opened, received }) {
  addEventListener("message", (event) => { if (event.source === parent) received(event.data); });
  setTimeout(opened);
  return { send: (message) => { parent.postMessage(message, "*"); return true; } };
}

function bySocket({ opened, received, lost }) {
  // The session is found by this again after a lost connection, not after a reload.
  const tab = [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");
  let socket = null, wait = 250, leaving = false;

  function open() {
    const address = new URL(`socket?tab=${tab}`, location.href);
    address.protocol = "ws:";
    address.hash = "";
    socket = new WebSocket(address);
    socket.onopen = () => { wait = 250; opened(); };
    socket.onmessage = (event) => received(JSON.parse(event.data));
    socket.onclose = () => {
      socket = null;
      if (leaving) return;
      lost();
      setTimeout(open, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    };
  }

  addEventListener("pagehide", () => { leaving = true; socket?.close(1000); });
  addEventListener("pageshow", (event) => { if (event.persisted) { leaving = false; open(); } });
  open();
  return {
    send: (message) => {
      const ready = socket?.readyState === WebSocket.OPEN;
      if (ready) socket.send(JSON.stringify(message));
      return ready;
    },
    addressOf: (page) => `step/${tab}/${page}`,
  };
}
