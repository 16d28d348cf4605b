"""Threads, signal handlers and forked children call backward and compiled steps: nothing is lost.

python tests/campaigns/threads.py --minutes 10
"""

import faulthandler
import os
import signal
import threading
import time
import warnings

import campaign
import numpy as np

import tinygrad_ce as tg
from tinygrad_ce import optim

ONE = np.ones(3)


class Shared:
    """Parameters that all use, and compiled steps of them."""

    def __init__(self):
        self.w = tg.Tensor(np.zeros(3), requires_grad=True)
        self.v = tg.Tensor(np.zeros(3), requires_grad=True)
        self.xs = [tg.Tensor(np.ones(3), requires_grad=True) for _ in range(20)]
        self.optimizer = optim.SGD([self.w], lr=1.0)
        self.train = tg.compile(self.step)
        self.compute = tg.compile(lambda x: (x @ x).tanh().sum(0))
        self.square = np.random.default_rng(0).normal(size=(30, 30))
        self.expected = self.compute.__wrapped__(tg.Tensor(self.square)).data.tobytes()
        self.counts = dict.fromkeys(("train", "backward"), 0)
        self.lock = threading.Lock()

    def step(self, x):
        loss = (self.w * x).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def use(self, kind, counts):
        """Call one of the three, and count it."""
        if kind == 0:
            total = self.xs[0].sum()
            for x in self.xs[1:]:
                total = total + x.sum()
            total.backward()
            counts["backward"] += 1
        elif kind == 1:
            self.train(ONE)
            counts["train"] += 1
        else:
            assert self.compute(self.square).data.tobytes() == self.expected


def attack(seed):
    """A second of all at once; then, the sums must be there."""
    rng = np.random.default_rng(seed)
    shared = Shared()
    for kind in (0, 1, 2, 1, 2, 1, 2, 1):  # recorded and verified: what follows takes turns
        shared.use(kind, shared.counts)
    end = time.monotonic() + 1
    counts = [dict.fromkeys(shared.counts, 0) for _ in range(5)]
    calls = [0] * 5
    errors, busy, signals = [], [], [0]

    def work(i, kinds):
        try:
            while time.monotonic() < end:
                shared.use(kinds[calls[i] % len(kinds)], counts[i])
                calls[i] += 1
        except BaseException as error:
            errors.append(error)

    def handler(*_):
        if not busy:
            busy.append(True)
            shared.use(signals[0] % 3, counts[4])
            signals[0] += 1
            busy.clear()

    before = signal.signal(signal.SIGALRM, handler)
    threads = [
        threading.Thread(target=work, args=(i, rng.integers(0, 3, 7).tolist())) for i in range(3)
    ]
    children = []
    try:
        for thread in threads:
            thread.start()
        signal.setitimer(signal.ITIMER_REAL, 1e-3, rng.uniform(1e-3, 1e-2))
        while time.monotonic() < end:
            shared.use(int(rng.integers(3)), counts[3])
            if rng.random() < 0.02:
                children.append(_child(shared))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for thread in threads:
            thread.join()
        signal.signal(signal.SIGALRM, before)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert not errors, errors
    assert set(codes) <= {0}, f"children ended with {codes}"
    total = {name: shared.counts[name] + sum(c[name] for c in counts) for name in shared.counts}
    assert shared.w.data.tolist() == [-total["train"]] * 3, (shared.w, total)
    for x in shared.xs:
        assert x.grad.tolist() == [total["backward"]] * 3, (x.grad, total)
    return {
        "backward": total["backward"],
        "training steps": total["train"],
        "signals": signals[0],
        "forks": len(children),
        "calls of threads": sum(calls),
    }


def _child(shared):
    """A process that was forked in the middle of it all, and goes on alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fork in a process with threads
        child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)  # ends it where it hangs
        code = 1
        try:
            for kind in (0, 1, 2):
                shared.use(kind, dict(shared.counts))
            code = 0
        finally:
            os._exit(code)
    return child


if __name__ == "__main__":
    faulthandler.enable()
    campaign.run(attack, __doc__)
