"""The parent's side of a worker: start it, ask it, end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from competitors import COMPETITORS


class CompetitorError(RuntimeError):
    """A competitor cannot do its work, or does another than the rest."""


class Worker:
    """A process in which one competitor does one piece of work, on so many threads.

    It ends with the block of its ``with`` statement.
    """

    def __init__(self, competitor: str, work: str, threads: int) -> None:
        self.title = f"{COMPETITORS[competitor].title} at {work}"
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        asked = {
            "competitor": competitor,
            "work": work,
            "threads": threads,
            "cpus": processors(threads),
        }
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("worker.py"), json.dumps(asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**_unpinned(os.environ), **environment(threads)},
        )

    def ask(self, do: str, **details: Any) -> Any:
        """Send a request and wait for the answer.

        Raises
        ------
        CompetitorError
            The process has ended; the message has the last line that it wrote to stderr.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            print(json.dumps({"do": do, **details}), file=stdin, flush=True)
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise CompetitorError(f"{self.title} fails: {self._last_error()}")
        return json.loads(line)

    def _last_error(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else f"the process has ended with status {status}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()


# What can hold one library, and no other, to the instructions of an older processor.
PINS = {
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "MKL_ENABLE_INSTRUCTIONS",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
}


def _unpinned(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment without pins: each library should use the processor that is there."""
    return {name: value for name, value in variables.items() if name not in PINS}


def environment(threads: int) -> dict[str, str]:
    """What tells the libraries how many threads to use; they read it when they are loaded.

    NumPy asks for huge pages for its large arrays. With glibc's tunable the others get them too:
    without, PyTorch and JAX take two to four times as long at 160 MB of logits, in page faults.
    """
    names = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")
    return {
        **{f"{name}_NUM_THREADS": str(threads) for name in names},
        "VECLIB_MAXIMUM_THREADS": str(threads),
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=" + ("true" if threads > 1 else "false"),
        "JAX_PLATFORMS": "cpu",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }


def processors(threads: int) -> list[int]:
    """As many of those that this process may use, the same for all; none where nobody can say."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))[-threads:]
