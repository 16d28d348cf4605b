"""From DOT to pictures, by whichever Graphviz there is.

`dot` on the PATH comes first; without it, pygraphviz runs the Graphviz that its wheels contain.
Either has a process of its own, which can be stopped, and keeps to itself what Graphviz writes to
stderr, of fonts and the like, unless it fails.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import warnings

HOW_TO_GET_A_RENDERER = (
    'pictures need Graphviz: pip install "tinygrad-ce[render]" (pygraphviz, with Graphviz inside), '
    "or install Graphviz with your system's package manager, so that the command dot is found "
    "(apt install graphviz, brew install graphviz, winget install graphviz)"
)

SECONDS_BEFORE_WARNING = 10
MAX_SECONDS = 30

_WITH_PYGRAPHVIZ = """\
import sys
from pygraphviz import AGraph
try:
    picture = AGraph(string=sys.stdin.buffer.read().decode()).draw(format=sys.argv[1], prog="dot")
except Exception as error:
    sys.exit(f"pygraphviz failed: {error}")
sys.stdout.buffer.write(picture)
"""


class RenderError(RuntimeError):
    """Graphviz was found, but failed."""


def render(source: str, format: str) -> bytes:
    """Lay out a graph in DOT and draw it, as "json0", "svg", "png" or "pdf".

    Without `dot` and pygraphviz, raise an ImportError, and where Graphviz fails a RenderError with
    what it wrote to stderr.
    """
    commands = []
    if dot := shutil.which("dot"):
        commands.append([dot, "-Kdot", f"-T{format}"])
    if importlib.util.find_spec("pygraphviz"):
        commands.append([sys.executable, "-c", _WITH_PYGRAPHVIZ, format])
    if not commands:
        raise ImportError(HOW_TO_GET_A_RENDERER)
    failures = []
    for command in commands:
        try:
            return _run(command, source)
        except RenderError as error:
            failures.append(str(error))
    raise RenderError("; ".join(failures))


def _run(command: list[str], source: str) -> bytes:
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
        raise RenderError(f"Graphviz failed: {stderr.decode(errors='replace').strip()}")
    return picture
