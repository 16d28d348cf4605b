"""One competitor at one piece of work, in a process of its own, which does what it is told.

The process is started by `process.Worker`, with a line of JSON as its argument: who, what, and on
which processors. A line of JSON on stdin is a request, one on stdout the answer to it:

    {"do": "check", "calls": 5}   the numbers that calls or the check return
    {"do": "time", "calls": 500}  the seconds that so many calls took, and what the last returned
    {"do": "peak"}                the most bytes the process has held during a call
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from competitors import COMPETITORS
from work import WORK, Job


def main() -> None:
    """Answer until stdin ends."""
    asked = json.loads(sys.argv[1])
    # Whatever a library prints goes to stderr: stdout is for answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if asked["cpus"]:
        os.sched_setaffinity(0, asked["cpus"])
    job = start(asked["competitor"], asked["work"], asked["threads"])
    for line in sys.stdin:
        request = json.loads(line)
        answer = ANSWERS[request.pop("do")](job, **request)
        print(json.dumps(answer), file=answers, flush=True)


def start(competitor: str, work: str, threads: int) -> Job:
    """What the competitor makes of the work."""
    module = import_module(f"competitors.{COMPETITORS[competitor].module}")
    if "torch" in sys.modules:  # the others read the environment
        sys.modules["torch"].set_num_threads(threads)
    job: Job = getattr(module, WORK[work].kind)(WORK[work].make())
    return job


def check(job: Job, calls: int) -> list[float]:
    """The numbers that must be the same for all competitors."""
    if job.check is not None:
        return numbers(job.check())
    return [number for _ in range(calls) for number in numbers(job.step())]


def numbers(result: Any) -> list[float]:
    """A number as it is; of an array, its norm and its product with fixed weights."""
    if isinstance(result, tuple | list):
        return [number for part in result for number in numbers(part)]
    values = np.asarray(result).reshape(-1)
    if values.size == 1:
        return [float(values[0])]
    weights = np.cos(np.arange(values.size, dtype=np.float32))
    return [float(np.linalg.norm(values)), float(np.dot(values, weights))]


def timed(job: Job, calls: int) -> dict[str, Any]:
    """How long so many calls take."""
    step, result = job.step, None
    begin = time.perf_counter()
    for _ in range(calls):
        result = step()
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "result": result if isinstance(result, float) else None}


def peak(job: Job) -> int | None:
    """The most bytes the process has held during a call, where the system tells.

    What the allocator has kept from the calls before is given back first. Writing 5 to clear_refs
    sets the peak to what is held now; a new process would begin with the peak of its parent.
    """
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    job.step()
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


ANSWERS: dict[str, Callable[..., Any]] = {"check": check, "time": timed, "peak": peak}


if __name__ == "__main__":
    main()
