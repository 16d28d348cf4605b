"""The first part of the page, without a page: its numbers are those of engine and closed form."""

import contextlib
import io
import math

import numpy as np
import pytest
from play.messages import SETTING, error_of, frame_of, settings

import tinygrad_ce as tg
from tinygrad_ce import closed_form
from tinygrad_ce import functional as F
from tinygrad_ce.draw.formatting import minus, number
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.play.one_loss import FORMS, Setting
from tinygrad_ce.play.session import Session
from tinygrad_ce.verify import decimal_reference


def target_of(setting):
    n = len(setting["logits"])
    shares = np.array(setting.get("soft", np.eye(n)[setting["label"]]))
    return (1 - setting["smoothing"]) * shares / shares.sum() + setting["smoothing"] / n


@pytest.fixture
def no_layout(monkeypatch):
    """Graphs are not laid out, which takes a process each."""
    drawing = {"kind": "graph", "svg": "", "leaves": {}}
    monkeypatch.setattr("tinygrad_ce.play.live_graph._drawing", lambda *graph: drawing)


@pytest.mark.usefixtures("no_layout")
@pytest.mark.parametrize("setting", settings(200))
def test_loss_and_gradient_are_the_engines_and_the_closed_forms(setting):
    frame = frame_of(Session(), setting)
    z = tg.Tensor(setting["logits"], requires_grad=True, dtype=setting["dtype"])
    y = target_of(setting)
    loss = F.cross_entropy(z, y.astype(setting["dtype"]), reduction="sum")
    loss.backward()
    eps = np.finfo(setting["dtype"]).eps
    close = {"rtol": 0, "atol": 200 * eps * max(1, loss.item())}
    np.testing.assert_allclose(frame["loss"], loss.item(), **close)
    np.testing.assert_allclose(frame["gradient"], z.grad, **close)
    p = closed_form.softmax(z.data.astype(float))
    np.testing.assert_allclose(frame["gradient"], p - y, **close)
    np.testing.assert_allclose(frame["probabilities"], p)
    np.testing.assert_allclose(frame["target"], y)
    assert set(frame["kinds"]) <= {"agrees", "rounded", "lost"}


@pytest.mark.usefixtures("no_layout")
@pytest.mark.parametrize("setting", settings(20, seed=1))
def test_numbers_in_the_graph_are_those_of_its_tensors(setting):
    session = Session()
    frame = frame_of(session, setting)
    fields = {k: v for k, v in setting.items() if k not in ("part", "do")}
    _, loss = Setting(**fields).compute()
    nodes = topological_order(loss)
    wanted = [node for node in nodes if node.requires_grad]
    gradients = dict(zip(wanted, tg.gradients(loss, wanted), strict=True))
    assert len(frame["tensors"]) == len(nodes)
    for i, node in enumerate(nodes):
        shown = frame["tensors"][f"t{i}"]
        if isinstance(shown["value"], list):
            assert shown["value"] == [minus(number(value)) for value in node.data.flat]
        if isinstance(shown.get("grad"), list):
            expected = np.asarray(gradients[node]).flat
            assert shown["grad"] == [minus(number(value)) for value in expected]


@pytest.mark.usefixtures("no_layout")
@pytest.mark.parametrize("form", FORMS)
def test_forms_are_those_of_the_library(form):
    for setting in settings(20, seed=2):
        setting |= {"form": form, "smoothing": 0.0, "dtype": "float64"}
        setting.pop("soft", None)
        z = tg.Tensor(setting["logits"], requires_grad=True)
        loss = getattr(F, f"{form}_cross_entropy")(z, setting["label"])
        loss.backward()
        frame = frame_of(Session(), setting)
        np.testing.assert_allclose(frame["loss"], loss.item(), rtol=1e-9, atol=1e-14)
        np.testing.assert_allclose(frame["gradient"], z.grad, rtol=1e-9, atol=1e-14)


@pytest.mark.usefixtures("no_layout")
@pytest.mark.parametrize(("dtype", "gap"), [("float64", 40.0), ("float32", 18.0)])
@pytest.mark.parametrize(
    ("form", "kind"), [("naive", "lost"), ("shifted", "lost"), ("margin", "agrees")]
)
def test_at_a_large_gap_the_margin_form_alone_keeps_the_gradient(dtype, gap, form, kind):
    change = {"logits": [gap, 0.0], "form": form, "dtype": dtype}
    frame = frame_of(Session(), SETTING | change)
    exact = decimal_reference.cross_entropy_grad([gap, 0.0], 0).astype(float)
    assert frame["kinds"] == [kind, "agrees"]
    assert (frame["gradient"][0] == 0) == (kind == "lost")
    if kind == "agrees":
        np.testing.assert_allclose(frame["gradient"], exact, rtol=1e-6)
    else:
        assert "lost" in frame["verdict"]
        assert minus(number(exact[0])) in frame["verdict"]


def test_an_overflow_is_lost_too_and_can_be_written_as_json():
    frame = frame_of(Session(), SETTING | {"logits": [800.0, 0.0]})
    assert "lost" in frame["kinds"]
    assert frame["gradient"][0] == "nan"


@pytest.mark.usefixtures("no_layout")
@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("(e.sum()).log() - z[t]", "agrees"),
        ("((softmax(z) - y) ** 2).sum()", "differs"),
        ("C + 0 * z.sum()", "differs"),
        ("logsumexp(z) - (z * y).sum()", "agrees"),
        ("margin_cross_entropy(z, t)", "agrees"),
    ],
)
def test_an_own_expression_is_judged_by_its_gradient(line, kind):
    frame = frame_of(Session(), SETTING | {"form": "expression", "expression": line})
    assert kind in frame["kinds"]
    assert kind == "differs" or "differs" not in frame["kinds"]


@pytest.mark.usefixtures("no_layout")
@pytest.mark.parametrize("line", ["z", "z * y", "3", "t", "y[z > 0]", "e.sm()", "", "z[9]"])
def test_an_expression_that_is_no_loss_is_refused_and_the_last_one_is_kept(line):
    session = Session()
    frame_of(session, SETTING)
    assert error_of(session, SETTING | {"form": "expression", "expression": line})
    (code,) = session.handle({"part": "loss", "do": "code"})
    assert f"loss = {FORMS['naive'][0]}" in code["text"]


@pytest.mark.slow
def test_the_graph_is_drawn_again_only_where_its_structure_is_another():
    session = Session()

    def kinds(change):
        return [reply["kind"] for reply in session.handle(SETTING | change)]

    assert kinds({}) == ["graph", "frame"]
    assert kinds({"logits": [3.0, -1.0, 9.5]}) == ["frame"]
    assert kinds({"logits": [3.0, -1.0, 9.5, 0.0]}) == ["graph", "frame"]
    assert kinds({"smoothing": 0.1}) == ["graph", "frame"]
    assert kinds({"smoothing": 0.2}) == ["frame"]
    assert kinds({"dtype": "float32"}) == ["graph", "frame"]
    assert kinds({"dtype": "float32", "direction": "TB"}) == ["graph", "frame"]
    assert kinds({"dtype": "float32", "direction": "TB"}) == ["frame"]
    assert kinds({"dtype": "float32", "direction": "TB", "redraw": True}) == ["graph", "frame"]


@pytest.mark.usefixtures("no_layout")
def test_the_curve_goes_through_the_loss_and_is_least_at_the_target():
    for setting in settings(50, seed=3):
        frame = frame_of(Session(), setting | {"dtype": "float64"})
        curve = frame["curve"]
        p = curve["probability"]
        if 0.01 < p < 0.99:
            assert math.isclose(np.interp(p, curve["p"], curve["loss"]), frame["loss"], abs_tol=0.1)
        best = curve["p"][int(np.argmin(curve["loss"]))]
        assert abs(best - curve["best"]) < 0.01


@pytest.mark.usefixtures("no_layout")
@pytest.mark.parametrize("setting", settings(12, seed=4))
def test_the_code_makes_what_is_seen(setting, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = Session()
    frame = frame_of(session, setting)
    (code,) = session.handle({"part": "loss", "do": "code"})
    assert len(code["text"].splitlines()) <= 20
    drawn = []
    monkeypatch.setattr(
        "tinygrad_ce.draw.drawing.Drawing.save", lambda self, name: drawn.append(name)
    )
    printed = io.StringIO()
    names = {}
    with contextlib.redirect_stdout(printed), np.errstate(all="ignore"):
        exec(code["text"], names)  # our own code, of a setting without an own expression
    assert names["loss"].item() == frame["loss"]
    assert names["z"].grad.tolist() == frame["gradient"]
    assert "p - y" in printed.getvalue()
    assert drawn == ["loss.svg", "loss.html"]


@pytest.mark.usefixtures("no_layout")
def test_the_code_says_how_a_label_is_smoothed():
    session = Session()
    frame_of(session, SETTING | {"logits": [2.0, 1.0, 0.1], "label": 0, "smoothing": 0.2})
    (code,) = session.handle({"part": "loss", "do": "code"})
    assert "y = tg.Tensor((1 - 0.2) * np.eye(C)[t] + 0.2 / C," in code["text"]


@pytest.mark.usefixtures("no_layout")
@pytest.mark.parametrize(
    "line", ["softmax(z)[t].log()", "exp(z).sum().log() - maximum(z, 0)[t]", "abs(z).sum()"]
)
def test_the_code_of_an_own_expression_imports_its_functions(line, monkeypatch):
    monkeypatch.setattr("tinygrad_ce.draw.drawing.Drawing.save", lambda self, name: None)
    session = Session()
    frame = frame_of(session, SETTING | {"form": "expression", "expression": line})
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(session.handle({"part": "loss", "do": "code"})[0]["text"], names)
    assert names["loss"].item() == frame["loss"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 3}, "label 3 is out of range for 3 classes"),
        ({"soft": [0.5, 0.5]}, "soft has 2 elements for 3 classes"),
        ({"soft": [0.0, 0.0, 0.0]}, "0 for all classes"),
        ({"logits": [1.0]}, "expected 2 to 9"),
        ({"logits": [1.0] * 10}, "expected 2 to 9"),
        ({"logits": [1.0, "2"]}, "logits[1]"),
        ({"logits": [1.0, 1e4]}, "logits[1]"),
        ({"smoothing": True}, "smoothing"),
        ({"form": "best"}, "naive, shifted, margin"),
        ({"dtype": "float16"}, "float64, float32"),
        ({"colour": "red"}, "'colour' is no field of set"),
    ],
)
def test_what_is_wrong_with_a_setting_is_said(change, message):
    assert message in error_of(Session(), SETTING | change)
