"""Processes are killed while they write: what is found is the old file or the new one, complete.

python tests/campaigns/kills.py --minutes 10
"""

import os
import signal
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import campaign
import numpy as np

import tinygrad_ce as tg
from tinygrad_ce.atomic_files import write_files
from tinygrad_ce.cli import main


def compiled(folder, version):
    step = tg.compile(lambda x: x * 2 if version else (x * 3).exp())
    step(np.ones(3))
    step.save(folder / "step.py")


def drawing(folder, version):
    x = tg.Tensor([1.0, 2.0], requires_grad=True, name=f"x{version}")
    made = tg.draw((x * x).sum())
    for kind in ("dot", "html"):
        made.save(folder / f"graph.{kind}")


def several(folder, version):
    content = bytes([version]) * 200_000
    write_files({folder / name: content for name in ("index", "a", "b", "c")})


def training(folder, version):
    options = ["--epochs", "1", "--seed", str(version)]
    main(["train", "iris", *options, "--out", str(folder / "run")])


def demo(folder, version):
    options = ["--epochs", "1", "--hidden", "2", "--seed", str(version)]
    main(["demo", *options, "--out", str(folder)])


def module(folder, version):
    main(["compile", "--seed", str(version), "--hidden", str(2 + version), "-o", str(folder / "m")])


# The writers, and the file that is there only together with all the others.
WRITERS = {
    "Compiled.save": (compiled, None),
    "Drawing.save": (drawing, None),
    "write_files": (several, "index"),
    "train": (training, "run"),
    "demo": (demo, "index.html"),
    "compile": (module, None),
}


def contents(folder):
    """The files in a folder; of a run that has ended, its weights, and which files it has."""
    found = {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}
    run = folder / "run"
    if (run / "model.safetensors").exists():
        names = sorted(p.name for p in run.iterdir() if not p.name.endswith(".part"))
        found["run"] = " ".join(names).encode()
        found["weights"] = (run / "model.safetensors").read_bytes()
    return {name: content for name, content in found.items() if not name.endswith(".part")}


@cache
def finished(name):
    """What each version leaves, and how long a writer takes."""
    found = []
    for version in (0, 1):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.monotonic()
            os.waitpid(_writing(name, Path(folder), [version]), 0)
            found.append(contents(Path(folder)))
    assert found[0] != found[1], f"{name} writes the same twice"
    assert all(found), f"{name} writes nothing"
    return found, time.monotonic() - begun


def _writing(name, folder, versions):
    """A child that writes one version after the other."""
    child = os.fork()
    if child == 0:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        try:
            for version in versions:
                WRITERS[name][0](folder, version)
        finally:
            os._exit(0)
    return child


def attack(seed):
    """Kill each writer once, at a random time, in a folder that is empty or has a version."""
    rng = np.random.default_rng(seed)
    for name, (_, index) in WRITERS.items():
        (old, new), seconds = finished(name)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            empty = "run" in old or rng.random() < 0.3  # a run is not written over
            for file, content in ({} if empty else old).items():
                (folder / file).write_bytes(content)
            child = _writing(name, folder, [1, 0] * (1 if seconds > 0.05 else 20))
            time.sleep(rng.uniform(0, min(seconds * 2, 3)))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            found = contents(folder)
            for file, content in found.items():
                whole = content in (old.get(file), new.get(file))
                assert whole, f"{name}: {file} is broken, {seed}"
            if index in found:
                assert found in (old, new), f"{name}: files of two runs, {seed}"
            parts = len([*folder.glob(".*.part")])
        state = "nothing" if not found else "old" if found == old else "new" if found == new else ""
        yield f"{name}: {state or 'some files'}"
        if parts:
            yield f"{name}: killed while it wrote"


if __name__ == "__main__":
    sys.argv[1:] = sys.argv[1:] or ["--minutes", "10"]
    campaign.run(attack, __doc__)
