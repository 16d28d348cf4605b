"""From DOT to pictures, by whichever Graphviz there is.

`dot` on the PATH comes first: it runs in a process of its own. Without it, pygraphviz runs the
Graphviz that its wheels contain inside this process. What either writes to stderr, of fonts and
the like, is kept from the user unless it fails.
"""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr

HOW_TO_GET_A_RENDERER = (
    'pictures need Graphviz: pip install "tinygrad-ce[render]" (pygraphviz, with Graphviz inside), '
    "or install Graphviz with your system's package manager, so that the command dot is found "
    "(apt install graphviz, brew install graphviz, winget install graphviz)"
)

# With more arrows than this, pygraphviz runs in a process of its own, which can be stopped.
MANY_EDGES = 500
SECONDS_BEFORE_WARNING = 4
MAX_SECONDS = 30


class RenderError(RuntimeError):
    """Graphviz was found, but failed."""


class _NotInstalledError(Exception):
    """This renderer is not there; another may be."""


def render(source: str, format: str) -> bytes:
    """Lay out a graph in DOT and draw it, as "json0", "svg", "png" or "pdf".

    Without `dot` and pygraphviz, raise an ImportError, and where Graphviz fails a RenderError with
    what it wrote to stderr.
    """
    failures = []
    for renderer in (_by_command, _in_process):
        try:
            return renderer(source, format)
        except _NotInstalledError:
            continue
        except RenderError as error:
            failures.append(str(error))
    if failures:
        raise RenderError("; ".join(failures))
    raise ImportError(HOW_TO_GET_A_RENDERER)


def _by_command(source: str, format: str) -> bytes:
    if (dot := shutil.which("dot")) is None:
        raise _NotInstalledError
    return _run_with_timeout([dot, "-Kdot", f"-T{format}"], source)


_IN_ANOTHER_PROCESS = """\
import sys
from pygraphviz import AGraph
source = sys.stdin.buffer.read().decode()
sys.stdout.buffer.write(AGraph(string=source).draw(format=sys.argv[1], prog="dot"))
"""


def _run_with_timeout(command: list[str], source: str) -> bytes:
    """Run a renderer: say so when it takes long, and stop it when too long."""
    pipe = subprocess.PIPE
    slow = (
        f"laying out a graph with {source.count('->'):,} edges takes more than a few seconds; "
        "depth=1 folds its scopes, and an intermediate tensor has a smaller graph"
    )
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            try:
                picture, stderr = process.communicate(source.encode(), SECONDS_BEFORE_WARNING)
            except subprocess.TimeoutExpired:
                warnings.warn(slow, stacklevel=2)
                picture, stderr = process.communicate(timeout=MAX_SECONDS)
        except BaseException as error:
            process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise RenderError(f"{slow}; stopped after {MAX_SECONDS} seconds") from None
            raise
    if process.returncode:
        raise RenderError(f"{command[0]} failed: {stderr.decode(errors='replace').strip()}")
    return picture


# Graphviz keeps state in globals, and stderr belongs to the whole process.
_one_at_a_time = threading.Lock()


def _in_process(source: str, format: str) -> bytes:
    if source.count("->") > MANY_EDGES and importlib.util.find_spec("pygraphviz"):
        return _run_with_timeout([sys.executable, "-c", _IN_ANOTHER_PROCESS, format], source)
    with _one_at_a_time, _stderr_captured() as stderr:
        try:
            from pygraphviz import AGraph
        except ImportError:
            raise _NotInstalledError from None
        try:
            picture: bytes = AGraph(string=source).draw(format=format, prog="dot")
        except Exception as error:
            raise RenderError(f"pygraphviz failed: {error} {stderr()}".strip()) from error
    return picture


@contextmanager
def _stderr_captured() -> Iterator[Callable[[], str]]:
    """Capture what is written to stderr, by C code too; yields a function that returns it."""
    try:
        original = os.dup(2)
    except OSError:  # there is none, as in a program with windows
        yield lambda: ""
        return
    with tempfile.TemporaryFile() as file, redirect_stderr(io.StringIO()) as text:

        def written() -> str:
            file.seek(0)
            return file.read().decode(errors="replace") + text.getvalue()

        os.dup2(file.fileno(), 2)
        try:
            yield written
        finally:
            os.dup2(original, 2)
            os.close(original)
