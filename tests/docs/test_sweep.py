"""The example of a sweep, on processes and on a cluster of Dask that loses a worker."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow
pytest.importorskip("sklearn")


def run(*command):
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sweep_on_processes_prints_what_seeds_and_rates_do():
    lines = run("-W", "error", ROOT / "examples" / "sweep.py", "--seeds", "2").splitlines()
    rows = [[float(cell) for cell in line.split()] for line in lines[1:]]
    assert [row[0] for row in rows] == [0.01, 0.03]
    for _, mean, _, worst, best in rows:
        assert 0.85 < worst <= mean <= best < 1


def test_a_sweep_of_50_seeds_survives_a_killed_worker():
    pytest.importorskip("distributed")
    script = ROOT / "tests" / "sweep_with_a_killed_worker.py"
    found = json.loads(run(script))
    X, y, search = runpy.run_path(script)["make_sweep"]()
    search.fit(X, y)  # here, one after another
    assert found["killed"] == 1
    assert len(found["scores"]) == 50
    assert found["scores"] == search.cv_results_["mean_test_score"].tolist()
