/* Sends what is set, and while the answer is under way nothing but the latest. */

export function latest(send) {
  let waiting = false, again = false;
  const wait = (for_answer) => {
    waiting = for_answer;
    document.body.classList.toggle("is-waiting", waiting);
  };
  return {
    /** Send now, or as soon as the answer is here. */
    request() {
      if (waiting) again = true;
      else wait(send());
    },
    /** The answer, or a refusal, is here. */
    answered() {
      wait(false);
      if (again) {
        again = false;
        this.request();
      }
    },
    /** The connection is lost, and with it what was under way. */
    reset() {
      again = false;
      wait(false);
    },
  };
}
