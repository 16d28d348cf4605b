"""What all tests share: how random examples are drawn, and what may be skipped where.

pytest -m "not slow"     # less than half a minute on two cores
pytest
"""

import importlib.util
import os

import pytest
from hypothesis import HealthCheck, settings

from tinygrad_ce.engine.context import MODE, Mode

# How many random graphs to try, where it should be more than the suite has time for:
#   RANDOM_GRAPHS=20000 python -m pytest tests/engine/test_random_graphs.py
# The suite's own examples are the same in each run; those asked for are new ones each time.
RANDOM_GRAPHS = int(os.environ.get("RANDOM_GRAPHS") or 0)

collect_ignore = ["mpi_training.py", "sweep_with_a_killed_worker.py"]  # scripts that tests start

_OPTIONS = {
    "deadline": None,  # the time that an example takes says nothing about what it found
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("suite", derandomize=True, database=None, **_OPTIONS)
settings.register_profile("search", **_OPTIONS)
settings.load_profile("search" if RANDOM_GRAPHS else "suite")


def pytest_configure(config):
    for marker in (
        "slow: takes more than 0.8 s, or starts a browser or a process",
        "torch: compares with PyTorch; skipped where it is not installed, unless CI is set",
    ):
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


def pytest_runtest_setup(item):
    if item.get_closest_marker("torch") and importlib.util.find_spec("torch") is None:
        if os.environ.get("CI"):
            pytest.fail("PyTorch is not installed, and where CI is set this may not be skipped")
        pytest.skip("PyTorch is not installed")


@pytest.fixture(autouse=True)
def no_mode_is_left_on():
    """Whatever a test does, recording is on and no scope is open once it is over."""
    yield
    mode = MODE.get()
    if mode.parent is not None:
        MODE.set(Mode())
        pytest.fail("the test has left a mode switched on")
