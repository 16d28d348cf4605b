"""Python in several processes, started by the mpiexec of the MPI that is installed for tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def mpirun(size, *arguments, runner=True, timeout=120, **options):
    """Run python with arguments in so many processes, and return what it has printed."""
    beside_python = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside_python) if beside_python.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        if os.environ.get("CI"):
            pytest.fail("there is no mpiexec, and where CI is set this may not be skipped")
        pytest.skip("there is no mpiexec")
    module = ["-m", "mpi4py"] if runner else []
    command = [mpiexec, "-n", size, sys.executable, *module, *arguments]
    return subprocess.run(
        list(map(str, command)),
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        **options,
    )
