"""Kill a training at random moments, again and again, and see that it comes to the same end.

python tests/campaigns/kill_training.py [KILLS] [SEED]

Each round starts a training of the command line, kills it by SIGKILL after a random time, resumes
and kills until it has ended, and compares every bit of the network with one that nobody killed.
Rounds go through optimizers, schedules and backends until there were KILLS kills, 100 by default.
"""

import subprocess
import sys
import tempfile
from itertools import count, product
from pathlib import Path

import numpy as np

from tinygrad_ce import nn

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "one-cycle")
BACKENDS = ("eager", "numpy", "c")
COMMON = "--dropout 0.2 --label-smoothing 0.1 --class-weight balanced --epochs 1500 --batch 16"


def write_rows(path, n=200):
    rng = np.random.default_rng(0)
    rows = [f"{a:.4f},{b:.4f},{'xyz'[i % 3]}" for i, (a, b) in enumerate(rng.normal(size=(n, 2)))]
    path.write_text("\n".join(["a,b,kind", *rows]) + "\n")


def train(folder, *arguments, kill_after=None):
    """Whether it has ended by itself."""
    command = [sys.executable, "-m", "tinygrad_ce", "train", *arguments]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            status = process.wait(timeout=kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            return False
    assert status == 0, (command, status)
    return True


def state(folder):
    model = nn.load(folder / "model.safetensors").model
    return {name: value.tobytes() for name, value in model.state_dict().items()}


def run_round(folder, rng, optimizer, schedule, backend, kills):
    """Kill until it has ended, and return how often that was."""
    options = [*COMMON.split(), "--optimizer", optimizer, "--schedule", schedule]
    options += ["--backend", backend, "--early-stopping", "1500", "rows.csv", "--target", "kind"]
    train(folder, *options, "--out", "whole")
    killed, ended = 0, False
    while not ended:
        begun = (folder / "run" / "run.json").exists()
        arguments = ["--resume", "run"] if begun else [*options, "--out", "run"]
        patience = rng.uniform(0.1, 4) if killed < kills else None
        ended = train(folder, *arguments, kill_after=patience)
        killed += not ended
    assert state(folder / "run") == state(folder / "whole"), (optimizer, schedule, backend)
    left = {path.name for path in (folder / "run").iterdir()}
    assert not any(name.endswith(".part") for name in left), left
    return killed


def main(kills=100, seed=0):
    rng = np.random.default_rng(seed)
    done = 0
    for i in count():
        for combination in product(OPTIMIZERS, SCHEDULES, BACKENDS):
            if done >= kills:
                print(f"{done} kills, {i} rounds of all combinations: every end was the same")
                return
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                write_rows(folder / "rows.csv")
                done += run_round(folder, rng, *combination, min(12, kills - done))
                print(done, *combination, flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
