/* One loss: its values and gradients move with its logits. */

import { el } from "./elements.js";

export function create(root, play) {
  const shown = el("pre");
  root.append(shown);
  return {
    start: () => play.send("set", { logits: [2, 1, 0.1], label: 0 }),
    receive: (reply) => { shown.textContent = JSON.stringify(reply); },
    state: () => ({}),
  };
}
