"""How much faster a training is on several processes: the same step on each number, in turn.

    python tests/benchmarks/processes.py [--processes 1 2] [--shards 2] [--batch 1024] [--rounds 7]

Trains 784-512-512-10 by SGD with momentum in float32, each process with one thread of BLAS. The
time of a step is that of an epoch on the wall clock, divided by its steps. Compared are medians of
trainings that follow one another, and in the end the shortest epochs of all rounds: on a machine
that does other work as well, only those say something. All must have ended with the same weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tinygrad_ce import distributed, nn, optim, train

SIZES = [784, 512, 512, 10]
ROWS, EPOCHS = 4096, 12  # of which the first is not counted: it compiles


def measure(n_shards: int, batch: int, evaluate: bool) -> None:
    """Train in this process and those beside it; the first prints seconds and a checksum."""
    rng = np.random.default_rng(0)
    X, y = rng.random((ROWS, SIZES[0]), np.float32), rng.integers(0, SIZES[-1], ROWS)
    model = nn.MLP(SIZES, "relu", rng=0)
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    shards = distributed.Shards(n_shards)
    times = []
    train.fit(
        model,
        optimizer,
        X,
        y,
        epochs=EPOCHS,
        batch_size=batch,
        rng=0,
        evaluate_training=evaluate,
        compile="numpy",
        callbacks=[lambda training: times.append(time.perf_counter())],
        shards=shards,
    )
    if shards.rank == 0:
        seconds = (np.diff(times) / -(-ROWS // batch)).tolist()
        weights = b"".join(p.data.tobytes() for p in model.parameters())
        print(json.dumps({"seconds": seconds, "sha": hashlib.sha256(weights).hexdigest()}))


def run(size: int, arguments: Sequence[str]) -> tuple[list[float], str]:
    """Seconds a step of each epoch, and the checksum, on so many processes."""
    beside_python = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside_python) if beside_python.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        sys.exit("processes: error: there is no mpiexec; pip install mpich")
    done = subprocess.run(
        [mpiexec, "-n", str(size), sys.executable, "-m", "mpi4py", __file__, *arguments, "--here"],
        check=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    found = json.loads(done.stdout)
    return found["seconds"], found["sha"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--evaluate", action="store_true", help="all rows after each epoch, too")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        measure(options.shards, options.batch, options.evaluate)
        return
    shortest = dict.fromkeys(options.processes, math.inf)
    for _ in range(options.rounds):
        found = {size: run(size, sys.argv[1:]) for size in options.processes}
        if len({sha for _, sha in found.values()}) > 1:
            sys.exit("processes: error: the weights differ")
        medians = {size: statistics.median(seconds) for size, (seconds, _) in found.items()}
        shortest = {size: min(shortest[size], *found[size][0]) for size in found}
        load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?"
        print(f"medians: {describe(medians)}; load {load}", flush=True)
    print(f"shortest epochs: {describe(shortest)}")


def describe(seconds: Mapping[int, float]) -> str:
    """Milliseconds a step by the number of processes, and how many times as fast they are."""
    first = next(iter(seconds.values()))
    return ", ".join(f"{n}: {1e3 * s:.1f} ms ({first / s:.2f})" for n, s in seconds.items())


if __name__ == "__main__":
    main()
