import subprocess
import sys
from base64 import b64decode
from xml.etree import ElementTree

import numpy as np
import pytest
from draw.graphs import (
    bare_chain,
    chain,
    cross_entropy_by_hand,
    legend_of,
    pairs,
    parameter,
    two_layers,
)

import tinygrad_ce as tg
from tinygrad_ce.draw import MAX_TENSORS, Drawing, draw, placement, svg
from tinygrad_ce.draw.drawing import CELL_WIDTH, MOST_PIXELS, ROW_WIDTH, SMALLEST_SCALE


@pytest.mark.parametrize("retain_graph", [False, True])
def test_a_graph_is_drawn_alike_before_and_after_backward(retain_graph):
    loss = cross_entropy_by_hand()
    drawing = draw(loss)
    before = drawing.dot, drawing.text(), drawing.page().html
    loss.backward(retain_graph=retain_graph)
    after = draw(loss)
    assert (after.dot, after.text(), after.page().html) == before
    assert drawing.page().html == before[-1]  # the page reads the graph when it is asked for


def test_the_graph_is_drawn_as_backward_found_it_after_a_step_of_the_optimizer():
    w = parameter(np.array([1.0, 2.0]), "w")
    first = w * w
    w.data += 1.0
    loss = (first + w * w).sum()
    square = (w * w).sum()
    before = draw(square).dot
    square = (w * w).sum()
    square.backward()
    loss.backward()
    w.data -= w.grad
    assert draw(square).dot == before
    text = draw(loss).text()
    assert "(parameter)  (2,)  1 2" in text
    assert "(parameter)  (2,)  2 3" in text


def test_a_drawn_graph_stays_used_up():
    loss = cross_entropy_by_hand()
    loss.backward()
    draw(loss)
    with pytest.raises(tg.FreedGraphError):
        loss.backward()
    with pytest.raises(tg.FreedGraphError):
        (loss * 2.0).backward()


def test_freed_graph_says_when_to_draw():
    loss = (parameter(np.ones(1 << 20), "w") * 2.0).exp().sum()
    loss.backward()
    with pytest.raises(tg.engine.backprop.FreedGraphError) as error:
        draw(loss)
    assert "draw before backward()" in str(error.value)
    assert "backward(retain_graph=True)" in str(error.value)


def test_chain_of_5000_is_refused_not_recursed():
    with pytest.raises(ValueError, match=r"has 5,001 tensors; more than 2,000 .* depth=1"):
        draw(bare_chain(5_000))


def test_largest_graph_allowed_is_drawn_and_one_more_is_refused():
    assert len(pairs(draw(bare_chain(MAX_TENSORS - 1)))) == 2 * (MAX_TENSORS - 1)
    with pytest.raises(ValueError, match="2,001 tensors"):
        draw(bare_chain(MAX_TENSORS))


@pytest.mark.slow
@pytest.mark.parametrize("make", [chain, bare_chain])
def test_huge_graph_is_folded_or_refused(make):
    end = make(200_000)
    if make is chain:
        assert "folded to depth=1, since it has 200,001 tensors" in legend_of(draw(end))
    else:
        with pytest.raises(ValueError, match="200,001 tensors"):
            draw(end)


@pytest.mark.parametrize("wrong", [None, 1.0, [1.0], np.ones(3), "loss"])
def test_only_a_tensor_can_be_drawn(wrong):
    with pytest.raises(TypeError, match=type(wrong).__name__):
        draw(wrong)


@pytest.mark.parametrize("direction", ["lr", "left", "", None, ["LR"]])
def test_unknown_direction_is_refused(direction):
    with pytest.raises(ValueError, match="LR, TB, RL, BT"):
        draw(parameter(1.0), direction=direction)


@pytest.mark.parametrize("depth", [0, -1])
def test_depth_below_1_is_refused(depth):
    with pytest.raises(ValueError, match=f"depth is {depth}: expected at least 1"):
        draw(parameter(1.0), depth=depth)


@pytest.mark.parametrize("depth", [1.5, "1", True, [1]])
def test_depth_that_is_no_integer_is_refused(depth):
    with pytest.raises(TypeError, match="depth"):
        draw(parameter(1.0), depth=depth)


def test_depth_can_be_a_numpy_integer():
    loss = two_layers()
    assert draw(loss, depth=np.int64(1)).dot == draw(loss, depth=1).dot


@pytest.mark.parametrize("wrong", [[], [1.0], "loss", [None]])
def test_outputs_are_tensors(wrong):
    with pytest.raises((TypeError, ValueError), match="the Tensor to draw, or a list"):
        draw(wrong)


def test_unknown_theme_is_refused():
    with pytest.raises(ValueError, match="theme is one of auto, light, dark, got 'pink'"):
        draw(parameter(1.0), theme="pink")


def test_notebook_shows_svg_and_for_those_that_are_not_trusted_png():
    drawing = draw(cross_entropy_by_hand(), direction="TB")
    data, metadata = drawing._repr_mimebundle_()
    assert data["image/svg+xml"] == drawing.svg()
    assert data["text/plain"] == repr(drawing)
    png = b64decode(data["image/png"])
    assert png.startswith(b"\x89PNG")
    pixels = int.from_bytes(png[16:20])  # 144 an inch, of which a page has 96
    assert metadata == {"image/png": {"width": round(pixels * 96 / 144)}}


def wide(layers):
    h = parameter(np.ones((2, 3)), "x")
    for i in range(layers):
        h = (h @ parameter(np.eye(3), f"W{i}")).tanh()
    return h.sum()


def test_notebook_shows_what_is_much_wider_than_a_cell_in_rows():
    drawing = draw(wide(4))
    data, _ = drawing._repr_mimebundle_()
    assert data["image/svg+xml"] == svg.fit_width(drawing.svg(width=ROW_WIDTH))
    shown, whole = (svg.picture_size(x)[0] for x in (drawing.svg(width=ROW_WIDTH), drawing.svg()))
    assert shown < CELL_WIDTH / SMALLEST_SCALE < whole
    png = b64decode(data["image/png"])
    assert int.from_bytes(png[16:20]) < int.from_bytes(png[20:24])  # from top to bottom


def test_notebook_shows_what_is_wide_in_the_width_of_its_cell():
    drawing = draw(cross_entropy_by_hand())
    shown = ElementTree.fromstring(drawing._repr_mimebundle_()[0]["image/svg+xml"])
    width, _ = svg.picture_size(drawing.svg())
    assert CELL_WIDTH < width < CELL_WIDTH / SMALLEST_SCALE
    assert (shown.get("width"), shown.get("height")) == ("100%", None)
    assert shown.get("style") == f"max-width:{width:.0f}pt;height:auto"
    assert float(shown.get("viewBox").split()[2]) == width


@pytest.mark.parametrize("direction", ["RL", "TB", "BT"])
def test_notebook_shows_the_direction_that_was_asked_for(direction):
    drawing = draw(wide(4), direction=direction)
    shown = drawing._repr_mimebundle_()[0]["image/svg+xml"]
    assert shown in (drawing.svg(), svg.fit_width(drawing.svg()))


@pytest.mark.slow
def test_notebook_shows_the_png_of_a_large_graph_with_fewer_pixels():
    small, large = (draw(wide(n)) for n in (4, 40))
    pixels = []
    for drawing in (small, large):
        png = b64decode(drawing._repr_mimebundle_()[0]["image/png"])
        pixels.append(int.from_bytes(png[16:20]) * int.from_bytes(png[20:24]))
    assert pixels[0] < pixels[1] < 1.2 * MOST_PIXELS


def test_notebook_shows_the_svg_alone_where_there_is_no_png(monkeypatch):
    drawing = draw(cross_entropy_by_hand())
    monkeypatch.setattr(Drawing, "_png", lambda *_, **__: 1 / 0)
    data, metadata = drawing._repr_mimebundle_()
    assert (set(data), metadata) == ({"image/svg+xml", "text/plain"}, {})


def test_notebook_shows_the_tree_and_the_remedy_without_a_renderer(no_renderer):
    drawing = draw(cross_entropy_by_hand())
    data, _ = drawing._repr_mimebundle_()
    assert set(data) == {"text/plain"}
    tree, _, remedy = data["text/plain"].rpartition("\n\n")
    assert tree == drawing.text()
    assert "tinygrad-ce[render]" in remedy


def test_notebook_never_raises_whatever_fails(monkeypatch):
    def broken(source, format):
        raise MemoryError("far too\nlarge")

    monkeypatch.setattr(placement, "render", broken)
    text = draw(cross_entropy_by_hand())._repr_mimebundle_()[0]["text/plain"]
    assert text.splitlines()[-1] == "no picture: far too large"


def test_a_page_leaves_words_where_a_notebook_takes_its_frame_away():
    html = draw(cross_entropy_by_hand()).page()._repr_html_()
    words = html[html.index(">") + 1 :].removesuffix("</iframe>")
    assert words.startswith("computation graph of loss: 6 tensors, 5 primitives: trust")


@pytest.mark.parametrize(
    ("suffix", "start"),
    [("dot", b"digraph"), ("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")],
)
def test_save_writes_the_format_of_the_name(tmp_path, suffix, start):
    path = tmp_path / f"graph.{suffix}"
    for name in (path, str(path), tmp_path / f"graph.{suffix.upper()}"):
        saved = draw(cross_entropy_by_hand()).save(name)
        assert saved.read_bytes().startswith(start)
    assert sorted(p.suffix.lower() for p in tmp_path.iterdir()) == [f".{suffix}"] * 2


def test_saved_dot_is_the_dot(tmp_path):
    drawing = draw(cross_entropy_by_hand())
    assert drawing.save(tmp_path / "g.dot").read_text(encoding="utf-8") == drawing.dot


@pytest.mark.parametrize("name", ["g.xml", "g.jpg", "g", ".svg", "dot"])
def test_unknown_format_is_refused_with_the_known_ones(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.dot, \.svg, \.png, \.pdf"):
        draw(parameter(1.0)).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_failing_to_render_leaves_no_file_and_the_old_one_untouched(tmp_path, no_renderer):
    drawing = draw(parameter(1.0))
    old = tmp_path / "old.svg"
    old.write_text("old")
    for path in (old, tmp_path / "new.svg"):
        with pytest.raises(ImportError):
            drawing.save(path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("old.svg", "old")]
    assert drawing.save(tmp_path / "g.dot").exists()


def test_failing_to_write_leaves_nothing_half_written(tmp_path):
    with pytest.raises(FileNotFoundError):
        draw(parameter(1.0)).save(tmp_path / "missing" / "g.dot")
    (tmp_path / "folder.dot").mkdir()
    with pytest.raises((IsADirectoryError, PermissionError)):
        draw(parameter(1.0)).save(tmp_path / "folder.dot")
    assert [p.name for p in tmp_path.iterdir()] == ["folder.dot"]


def test_graph_is_a_digraph_to_go_on_with():
    drawing = draw(cross_entropy_by_hand())
    assert isinstance(drawing, Drawing)
    drawing.graph.attr(bgcolor="transparent")
    assert "bgcolor=transparent" in drawing.dot


@pytest.mark.slow
def test_drawing_needs_no_renderer_and_no_import_of_one():
    code = (
        "import sys, tinygrad_ce as tg; from tinygrad_ce.draw import draw\n"
        "assert 'graphviz' not in sys.modules\n"
        "draw(tg.Tensor(1.0)).dot\n"
        "assert 'pygraphviz' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
