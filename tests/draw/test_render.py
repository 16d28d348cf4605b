import importlib.util
import os
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from draw.graphs import chain, groups, parameter, two_layers

import tinygrad_ce as tg
from tinygrad_ce.draw import RenderError, draw, render
from tinygrad_ce.engine.graph import topological_order


@pytest.mark.slow
def test_tensor_that_a_hundred_layers_use_is_placed_within_seconds():
    W, h = parameter(np.ones((2, 2)), "W"), tg.Tensor([[1.0, 2.0]])
    for i in range(100):
        with tg.scope(f"layer {i}"):
            h = (h @ W).tanh() + parameter(np.ones(2))
    drawing = draw(h.sum(), depth=1)
    drawing.svg()


def test_400_tensors_are_drawn_within_a_second():
    W, h = parameter(np.ones((2, 2)), "W"), tg.Tensor([[1.0, 2.0]])
    for i in range(100):
        with tg.scope(f"layer {i}"):
            h = (h @ W).tanh() + parameter(np.ones(2))
    loss = h.sum()
    draw(loss).svg()


def test_long_layout_says_so_and_is_stopped(monkeypatch):
    module = sys.modules["tinygrad_ce.draw.render"]
    monkeypatch.setattr(module, "SECONDS_BEFORE_WARNING", 0.01)
    monkeypatch.setattr(module, "MAX_SECONDS", 0.01)
    with (
        pytest.warns(UserWarning, match=r"more than a few seconds; depth=1 folds"),
        pytest.raises(RenderError, match="stopped after"),
    ):
        render.render(draw(chain(300)).dot, "svg")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:laying out")
def test_tensors_that_a_hundred_layers_use_are_placed_before_patience_ends():
    W, b = parameter(np.eye(2), "W"), parameter(np.zeros(2), "b")
    h, total = tg.Tensor([[1.0, 2.0]], name="x"), 0.0
    for _ in range(100):
        h = (h @ W + b).tanh()
        total = total + h.sum()
    assert len(groups(draw(total).svg())) == len(topological_order(total)) + 500


@pytest.mark.parametrize("n, limit", [(10, None), (100, "0.1"), (400, "0.03")])
def test_the_search_for_a_layout_is_limited_only_in_large_pictures(n, limit):
    assert re.findall(r"mclimit=([\d.]+)", draw(chain(n)).dot) == ([limit] if limit else [])


@pytest.fixture
def dot(monkeypatch, tmp_path):
    """A command `dot` of our own on the PATH: called with what it is to do, in Python."""

    def make(body):
        command = tmp_path / "dot"
        command.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
        command.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


@pytest.mark.skipif(os.name == "nt", reason="a script is no command there")
@pytest.mark.parametrize("n", [2, 400])
def test_the_command_dot_comes_first_and_has_the_whole_graph(dot, n):
    dot("sys.stdout.write(sys.argv[-1] + ' ' + str(sys.stdin.read().count('->')))")
    drawing = draw(chain(n))
    arrows = drawing.dot.count("->")
    assert render.render(drawing.dot, "svg").decode() == f"-Tsvg {arrows}"


@pytest.mark.skipif(os.name == "nt", reason="a script is no command there")
@pytest.mark.parametrize("n", [2, 400])
def test_what_a_failing_dot_said_is_told(dot, monkeypatch, n):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    dot("sys.stderr.write('out of ink'); sys.exit(1)")
    with pytest.raises(RenderError, match="failed: out of ink"):
        draw(chain(n)).svg()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a script is no command there")
@pytest.mark.parametrize("n", [2, 400])
def test_where_dot_fails_pygraphviz_draws(dot, n):
    dot("sys.exit(1)")
    assert draw(chain(n)).svg().startswith("<svg")


def test_a_program_without_stderr_can_draw(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "dup", lambda number: raise_(OSError("bad file descriptor")))
    assert draw(chain(2)).svg().startswith("<svg")


def raise_(error):
    raise error


@pytest.mark.slow
def test_large_graph_is_drawn_in_a_process_of_its_own():
    assert len(groups(draw(chain(400)).svg())) == 801


def test_rendering_says_nothing_on_stderr(capfd):
    drawing = draw(chain(1_200))  # pygraphviz has a word to say on more than 1,000 nodes
    drawing.svg()
    draw(two_layers())._repr_mimebundle_()
    assert capfd.readouterr() == ("", "")


def test_stderr_works_again_after_rendering(capfd):
    draw(two_layers()).svg()
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


@pytest.mark.slow
def test_rendering_works_without_a_stderr():
    code = (
        "import os; os.close(2)\n"
        "import tinygrad_ce as tg; from tinygrad_ce.draw import draw\n"
        "print(draw(tg.Tensor(1.0, name='x')).svg()[:4])"
    )
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert run.stdout.strip() == b"<svg"


@pytest.mark.slow
def test_threads_can_render_at_the_same_time():
    drawing = draw(two_layers())
    results = []
    threads = [threading.Thread(target=lambda: results.append(drawing.svg())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [drawing.svg()] * 8


def test_what_graphviz_says_of_an_error_is_in_the_exception(capfd):
    with pytest.raises(RenderError, match="syntax error"):
        render.render("digraph { a -> [ }", "svg")
    assert capfd.readouterr() == ("", "")


def test_dot_command_comes_first_where_there_is_one(monkeypatch, tmp_path):
    dot = tmp_path / "dot"
    dot.write_text('#!/bin/sh\necho noise >&2\nread line\necho "<svg>$1 $2</svg>"\n')
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert b"-Kdot -Tsvg" in render.render(draw(parameter(1.0)).dot, "svg")


def test_pygraphviz_takes_over_where_dot_fails(monkeypatch, tmp_path):
    dot = tmp_path / "dot"
    dot.write_text("#!/bin/sh\necho 'no plugins' >&2\nexit 1\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    drawing = draw(parameter(1.0))
    ET.fromstring(drawing.svg())
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(RenderError, match="no plugins"):
        drawing.svg()


def test_without_a_renderer_the_error_names_both_remedies(no_renderer):
    with pytest.raises(ImportError) as error:
        draw(parameter(1.0)).svg()
    assert 'pip install "tinygrad-ce[render]"' in str(error.value)
    assert "package manager" in str(error.value)
