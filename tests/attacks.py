"""What the guarantees are attacked with: exceptions, interruptions and threads."""

import linecache
import sys
import threading
from functools import cache
from pathlib import Path

import numpy as np

import tinygrad_ce as tg
from tinygrad_ce import nn
from tinygrad_ce.engine.primitives import Primitive

PACKAGE = str(Path(tg.__file__).parent)

X = np.random.default_rng(0).normal(size=(5, 4))
Y = np.array([0, 1, 2, 1, 0])


def mlp(**options):
    return nn.MLP([4, 6, 3], rng=0, dtype=np.float64, **options)


class Stop(BaseException):
    """As KeyboardInterrupt, no Exception."""


def stop_forward(x):
    raise Stop


def stop_backward(g, y, x):
    raise Stop


STOPS = {
    "value": Primitive("stops", "!", stop_forward, lambda g, y, x: g),
    "rule": Primitive("stops", "!", lambda x: x + 0, stop_backward),
}
V = np.array([1.0, 2.0])


@cache
def is_with(file, line):
    return linecache.getline(file, line).strip().startswith("with ")


def interrupted_at(line, action):
    """Run an action, and raise Stop at a line of the package, counted from 0; say if it came.

    Not where a mode is entered or left: Python has no way to make these two safe against a signal,
    in any context manager that is written in it.
    """
    left = line

    def trace(frame, event, argument):
        nonlocal left
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE) or code.co_name in ("__enter__", "__exit__"):
            return None
        if event == "line" and not is_with(code.co_filename, frame.f_lineno):
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise Stop
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except Stop:
        return True
    finally:
        sys.settrace(before)
    return False


def in_threads(jobs):
    """Run the jobs at the same time, switching between them as often as can be."""
    results = [None] * len(jobs)

    def run(i):
        try:
            results[i] = jobs[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(jobs))]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    return results
