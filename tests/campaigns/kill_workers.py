"""Kill one process of a training on MPI at random moments, and see that it comes to the same end.

python tests/campaigns/kill_workers.py [KILLS] [SEED]

Each round starts a training on two processes, kills one of them by SIGKILL after a random time,
sees that all end soon, that the exit status is not 0, and that the last checkpoint can be read and
is no older than those before; and resumes, on 1, 2 or 4 processes, until it has ended. Then every
bit of the network is compared with one that nobody killed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from kill_training import state, write_rows

from tinygrad_ce import nn

OPTIONS = "rows.csv --target kind --dropout 0.2 --class-weight balanced --early-stopping 1000"
OPTIONS += " --epochs 1000 --batch 32 --shards 4 --schedule cosine"
PATIENCE = 30  # seconds until all processes have ended
MPIEXEC = shutil.which("mpiexec") or Path(sys.executable).with_name("mpiexec")


def start(folder, size, *arguments):
    command = [MPIEXEC, "-n", size, sys.executable, "-m", "mpi4py", "-m", "tinygrad_ce", "train"]
    return subprocess.Popen(
        list(map(str, [*command, *arguments])),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )


def workers(process):
    """The processes of the training: those below mpiexec and what it starts them by."""
    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(process.pid).children(recursive=True)
        return [p for p in found if "tinygrad_ce" in p.cmdline()]
    return []


def kill_one(process, rng, seconds):
    """Kill a random process after some time, and return all that were there; [] if it has ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    while process.poll() is None:
        if there := workers(process):
            there[rng.integers(len(there))].send_signal(signal.SIGKILL)
            return there
        time.sleep(0.01)  # they are only just starting
    return []


def epoch(folder):
    path = folder / "run" / "checkpoint.safetensors"
    return nn.load(path).epoch if path.exists() else 0


def run_round(folder, rng, kills, seconds):
    """Kill so often, or until it has ended; return after which epochs it went on."""
    resumed = []
    while True:
        size = int(rng.choice([2, 4] if len(resumed) < kills else [1, 2, 4]))
        begun = (folder / "run" / "run.json").exists()
        arguments = ["--resume", "run"] if begun else [*OPTIONS.split(), "--out", "run"]
        process = start(folder, size, *arguments)
        if len(resumed) == kills:
            assert process.wait(timeout=600) == 0
            return resumed
        there = kill_one(process, rng, rng.uniform(0.1, seconds))
        begin = time.monotonic()
        status = process.wait(timeout=PATIENCE)
        if not there:
            assert status == 0
            return resumed
        assert status != 0
        _, alive = psutil.wait_procs(there, timeout=PATIENCE)
        assert not alive, f"{len(alive)} processes go on after one was killed"
        now = epoch(folder)
        assert now >= max(resumed, default=0), (now, resumed)
        resumed.append(now)
        print(
            f"killed 1 of {size}, all ended after {time.monotonic() - begin:.2f} s with status "
            f"{status}; the checkpoint has {now} epochs",
            flush=True,
        )


def main(kills=20, seed=0):
    rng = np.random.default_rng(seed)
    done = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / "rows.csv")
        begin = time.monotonic()
        assert start(folder, 2, *OPTIONS.split(), "--out", "whole").wait() == 0
        seconds = time.monotonic() - begin
        while done < kills:
            done += len(run_round(folder, rng, min(10, kills - done), seconds))
            assert state(folder / "run") == state(folder / "whole")
            left = {path.name for path in (folder / "run").iterdir()}
            assert not any(name.endswith(".part") for name in left), left
            shutil.rmtree(folder / "run")
    print(f"{done} kills, every end was the same")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
