/* Sends what is set, and while the answer is under way nothing but the latest. */

export function latest(send) {
  let waiting = false, again = false;
  return {
    /** Send now, or as soon as the answer is here. */
    request() {
      if (waiting) again = true;
      else waiting = send();
    },
    /** The answer, or a refusal, is here. */
    answered() {
      waiting = false;
      if (again) {
        again = false;
        this.request();
      }
    },
    /** There is no answer to wait for: the connection is a new one. */
    reset() { waiting = again = false; },
  };
}
