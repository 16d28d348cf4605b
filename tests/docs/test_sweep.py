"""The example of a sweep, here and on a cluster of Dask that loses a worker."""

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


def test_a_sweep_prints_what_seeds_and_rates_do(capsys):
    main = runpy.run_path(ROOT / "examples" / "sweep.py")["main"]
    assert main(["--seeds", "2", "--workers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [[float(cell) for cell in line.split()] for line in lines[1:]]
    assert [row[0] for row in rows] == [0.01, 0.03]
    for _, mean, _, worst, best in rows:
        assert 0.85 < worst <= mean <= best < 1


def test_a_sweep_of_50_seeds_survives_a_killed_worker():
    pytest.importorskip("distributed")
    script = ROOT / "tests" / "sweep_with_a_killed_worker.py"
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    X, y, search = runpy.run_path(script)["make_sweep"]()
    search.fit(X, y)  # here, one after another
    assert found["killed"] == 1
    assert len(found["scores"]) == 50
    assert found["scores"] == search.cv_results_["mean_test_score"].tolist()
