/* The connection of a page without Python: it answers from the frames that are in the page. */

const MESSAGE = "This is a recording: what is not in it needs the engine. Start it with: tinygrad-ce play";

/** In place of a connection to the session, with the same arguments and result. */
export function inRecording({ opened, received }) {
  const recorded = JSON.parse(document.getElementById("recorded").textContent);
  const { frames } = recorded;
  let at = 0, playing = false, undrawn = 0, waiting = false;

  const reply = (message) => queueMicrotask(() => received({ part: "network", ...message }));
  const show = (i) => {
    at = Math.min(Math.max(i, 0), frames.length - 1);
    if (at === frames.length - 1) playing = false;
    undrawn++;
    reply({ ...frames[at], first: frames[0].step, last: frames.at(-1).step, running: playing });
  };
  const nearest = (step) => {
    const away = frames.map((frame) => Math.abs(frame.step - step));
    return away.indexOf(Math.min(...away));
  };
  /** The next frame while it plays, as soon as the last one is drawn. */
  const go = () => {
    if (!playing || waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (playing && undrawn < 2) show(at + 1);
      go();
    });
  };

  const start = () => {
    recorded.start.forEach(reply);
    show(at);
  };
  const ANSWERS = {
    open: () => received({ part: "session", kind: "opened", parts: ["network"], first: "network", resumed: false, recording: true }),
    drawn: () => { undrawn = Math.max(undrawn - 1, 0); },
    set: start,
    resume: start,
    play: () => {
      if (at === frames.length - 1) at = -1;
      playing = true;
      go();
    },
    pause: () => { playing = false; reply({ kind: "paused" }); },
    step: () => { playing = false; show(at + 1); },
    show: ({ step }) => { playing = false; show(nearest(step)); },
    code: () => reply(recorded.code),
  };

  queueMicrotask(opened);
  return {
    send(message) {
      const answer = ANSWERS[message.do];
      if (answer) answer(message);
      else reply({ kind: "error", message: MESSAGE });
      return true;
    },
    addressOf: () => "about:blank",
  };
}
