"""From DOT to pictures, by whichever Graphviz there is.

`dot` on the PATH comes first: it runs in a process of its own. Without it, pygraphviz runs the
Graphviz that its wheels contain inside this process. What either has to say of fonts and the like
is kept from the user, unless it fails.
"""

from __future__ import annotations

import html
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr

from .dot.style import dark_css

HOW_TO_GET_A_RENDERER = (
    'pictures need Graphviz: pip install "tinygrad-ce[render]" (pygraphviz, with Graphviz inside), '
    "or install Graphviz with your system's package manager, so that the command dot is found "
    "(apt install graphviz, brew install graphviz, winget install graphviz)"
)


LESS = "depth=1 folds its scopes, and an intermediate tensor has a smaller graph"

# With more arrows than this, Graphviz runs in a process of its own, which can be stopped.
MANY_ARROWS = 500
SECONDS_WITHOUT_A_WORD = 4
SECONDS_AT_MOST = 30


class RenderError(RuntimeError):
    """Graphviz was found, but failed."""


class _NotInstalledError(Exception):
    """This renderer is not there; another may be."""


def render(source: str, format: str) -> bytes:
    """Lay out a graph in DOT and draw it.

    Parameters
    ----------
    source
        The graph, in DOT.
    format
        What Graphviz shall write: "svg", "png" or "pdf".

    Raises
    ------
    ImportError
        Neither `dot` nor pygraphviz is installed.
    RenderError
        Graphviz failed; the message holds what it said.
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
    import graphviz

    if source.count("->") > MANY_ARROWS and (dot := shutil.which("dot")):
        return _patiently([dot, f"-T{format}"], source)
    try:
        picture: bytes = graphviz.pipe("dot", format, source.encode(), quiet=True)
    except graphviz.ExecutableNotFound:
        raise _NotInstalledError from None
    except graphviz.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip()
        raise RenderError(f"dot failed: {said or error}") from error
    return picture


_IN_ANOTHER_PROCESS = """\
import sys
from pygraphviz import AGraph
source = sys.stdin.buffer.read().decode()
sys.stdout.buffer.write(AGraph(string=source).draw(format=sys.argv[1], prog="dot"))
"""


def _patiently(command: list[str], source: str) -> bytes:
    """Run a renderer on a large graph: say so when it takes long, and stop it when too long."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            picture, said = _communicate(process, source.encode())
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise RenderError(f"{command[0]} failed: {said.decode(errors='replace').strip()}")
    return picture


def _communicate(process: subprocess.Popen[bytes], source: bytes) -> tuple[bytes, bytes]:
    try:
        return process.communicate(source, timeout=SECONDS_WITHOUT_A_WORD)
    except subprocess.TimeoutExpired:
        arrows = source.count(b"->")
        message = f"laying out a graph with {arrows:,} arrows takes more than a few seconds; {LESS}"
        warnings.warn(message, stacklevel=2)
    try:
        return process.communicate(timeout=SECONDS_AT_MOST)
    except subprocess.TimeoutExpired:
        raise RenderError(f"{message}; stopped after {SECONDS_AT_MOST} seconds") from None


# Graphviz keeps state in globals, and stderr belongs to the whole process.
_one_at_a_time = threading.Lock()


def _in_process(source: str, format: str) -> bytes:
    if source.count("->") > MANY_ARROWS and importlib.util.find_spec("pygraphviz"):
        return _patiently([sys.executable, "-c", _IN_ANOTHER_PROCESS, format], source)
    with _one_at_a_time, _stderr_captured() as said:
        try:
            from pygraphviz import AGraph
        except ImportError:
            raise _NotInstalledError from None
        try:
            picture: bytes = AGraph(string=source).draw(format=format, prog="dot")
        except Exception as error:
            raise RenderError(f"pygraphviz failed: {error} {said()}".strip()) from error
    return picture


@contextmanager
def _stderr_captured() -> Iterator[Callable[[], str]]:
    """Take what is written to stderr, by C code too; hands out a function that returns it."""
    try:
        stderr = os.dup(2)
    except OSError:  # there is none, as in a program with windows
        yield lambda: ""
        return
    with tempfile.TemporaryFile() as file, redirect_stderr(io.StringIO()) as text:

        def said() -> str:
            file.seek(0)
            return file.read().decode(errors="replace") + text.getvalue()

        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


# ── SVG ───────────────────────────────────────────────────────────────────────────────────────────

_GROUP = re.compile(r'<g id="[^"]*" (class="\w+"[^>]*)>\s*<title>([^<]*)</title>')
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def render_svg(source: str, title: str, follow: bool = True) -> str:
    """The picture as an SVG element, to stand in an HTML page or in a file of its own.

    It has its natural size where there is room, and shrinks where there is not. Nodes, edges and
    clusters are groups of that class, with their name in DOT as `data-name`; no ids, which would
    clash when two pictures stand on one page. With `follow`, it is dark where its reader prefers
    that.
    """
    svg = render(source, "svg").decode()
    svg = _COMMENT.sub("", svg[svg.index("<svg") :])
    svg = _GROUP.sub(r'<g \1 data-name="\2">', svg)
    head, body = svg.split(">", 1)
    label = html.escape(title)
    style = f"\n<style>{dark_css('svg.tg-drawing')}</style>" if follow else ""
    return (
        f'{head} class="tg-drawing" role="img" aria-label="{label}" '
        f'style="max-width:100%;height:auto">\n<title>{label}</title>{style}{body}'
    )
