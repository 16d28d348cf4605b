"""What can be compiled, how it is called, and when it is recorded again."""

import gc
import operator
import os
from collections import namedtuple
from xml.etree import ElementTree

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import X3

import tinygrad_ce as tg
from tinygrad_ce import optim

# ── Arguments and results ─────────────────────────────────────────────────────────────────────────


def test_results_keep_their_structure_and_plain_values():
    f = tg.compile(lambda x, n: {"sum": x.sum(), "n": n, "all": [x * n, (x, None)]})
    got = f(np.array([1.0, 2.0]), 3)
    assert got["n"] == 3
    assert got["sum"].item() == 3
    assert got["all"][0].data.tolist() == [3, 6]
    assert got["all"][1][1] is None


def test_plain_arguments_keywords_and_containers_belong_to_the_key():
    f = tg.compile(
        lambda pair, *, scale=1, flag=False: pair[0] * scale - pair[1]["b"] if flag else 0
    )
    a, b = np.array([1.0, 2.0]), np.array([5.0, 5.0])
    assert f((a, {"b": b}), flag=True).data.tolist() == [-4, -3]
    assert f((a, {"b": b}), scale=2, flag=True).data.tolist() == [-3, -1]
    assert f((b, {"b": a}), scale=2, flag=True).data.tolist() == [9, 8]
    assert f((a, {"b": b})) == 0


def test_a_step_may_return_what_it_took_from_outside_and_in_named_tuples():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    pair = namedtuple("pair", "weight, product")
    f = tg.compile(lambda x: pair(w, w * x))
    for _ in range(2):
        got = f(np.array([3.0, 4.0]))
        assert type(got) is pair
        assert got.weight is w
        assert got.product.data.tolist() == [3, 8]


def test_the_repr_says_how_it_runs_and_a_notebook_can_open_the_source():
    f = tg.compile(lambda x: x < tg.Tensor(2.0))
    assert repr(f) == "<compiled <lambda>: backend numpy, not recorded yet>"
    assert f._repr_html_() is None
    f(np.ones(2))
    assert repr(f) == "<compiled <lambda>: backend numpy, 1 recording>"
    f(np.ones(3))
    assert "2 recordings" in repr(f)
    page = ElementTree.fromstring(f._repr_html_())
    assert page.findtext(".//code") == repr(f)
    assert page.findtext("pre") == f.source


def test_arguments_that_do_not_fit_are_pythons_own_error():
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        tg.compile(lambda x: x)(X3, X3)


def test_what_has_no_signature_names_its_arguments_by_number():
    f = tg.compile(operator.methodcaller("exp"))
    assert_same_bits([f(X3)], [np.exp(X3)])
    assert "def step(" in f.source


def test_arguments_may_be_tensors():
    f = tg.compile(lambda x, y: x * y)
    for _ in range(2):
        assert f(tg.Tensor(X3), tg.Tensor(2.0)).data.tolist() == [2, 4, 6]
    assert len(f._found) == 1


def test_plain_floats_are_told_apart_bit_by_bit():
    f = tg.compile(lambda x, a: x * a)
    assert np.signbit(f(np.ones(1), -0.0).data[0])
    assert not np.signbit(f(np.ones(1), 0.0).data[0])
    for _ in range(3):
        assert np.isnan(f(np.ones(1), float("nan")).item())
    assert len(f._found) == 3


def test_an_argument_with_a_graph_is_refused_and_a_parameter_is_not():
    w = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    f = tg.compile(lambda w, x: tg.gradients((w * w * x).sum(), [w])[0])
    assert f(w, X3).data.tolist() == [2, 8, 18]
    w.data = 2 * w.data
    assert f(w, X3).data.tolist() == [4, 16, 36]
    with pytest.raises(TypeError, match="detach"):
        f(w * 2, X3)


def test_source_before_the_first_call_and_unhashable_arguments():
    f = tg.compile(lambda x, s: x)
    with pytest.raises(RuntimeError, match="call it once"):
        f.source
    with pytest.raises(TypeError, match="hashable"):
        f(X3, {1, 2})
    with pytest.raises(TypeError, match="a step is a function"):
        tg.compile(3)


def test_as_a_method_and_inside_of_another():
    class Doubler:
        factor = 2

        @tg.compile
        def run(self, x):
            return x * self.factor

    outer = tg.compile(lambda x: Doubler.run(doubler, x) + 1)
    doubler = Doubler()
    assert doubler.run(np.ones(2)).data.tolist() == [2, 2]
    assert outer(np.ones(2)).data.tolist() == [3, 3]


# ── Recordings ────────────────────────────────────────────────────────────────────────────────────


def test_a_constant_outside_that_is_assigned_is_seen():
    mask = tg.Tensor([1.0, 0.0])
    f = tg.compile(lambda x: x * mask)
    x = np.array([2.0, 3.0])
    for values in ([1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [3.0, 1.0]):
        mask.data = np.array(values)
        assert f(x).data.tolist() == (x * values).tolist()
    assert sum(map(len, f._found.values())) == 2


def test_the_number_of_recordings_is_bounded():
    f = tg.compile(lambda x, n: x * n)
    x = np.ones(2)
    with pytest.warns(RuntimeWarning, match="8th time.*Numbers.*as np.float64"):
        found = [f(x, n).data.tolist() for n in range(100)]
    assert found == [[n, n] for n in range(100)]
    assert len(f._found) == 64
    optimizer = optim.SGD([tg.Tensor([1.0], requires_grad=True)], lr=0.1)
    g = tg.compile(optimizer.step)
    momenta = np.linspace(0.1, 0.9, 20).tolist()
    with pytest.warns(RuntimeWarning, match="8th time.*SGD._momentum"):
        [(setattr(optimizer, "momentum", momentum), g()) for momentum in momenta]
    assert [len(alike) for alike in g._found.values()] == [8]


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        tg.compile(lambda x: x + 1)(X3)
        assert not gc.isenabled()
    finally:
        gc.enable()
    tg.compile(lambda x: x + 1)(X3)
    assert gc.isenabled()


def test_saving_leaves_the_earlier_file_as_it_was_if_it_fails(tmp_path, monkeypatch):
    f = tg.compile(lambda x: x * 2)
    f(X3)
    f.save(tmp_path / "step.py")
    assert (tmp_path / "step.py").read_text(encoding="utf-8") == f.source
    f(np.ones((2, 2)))

    def fail(*paths):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        f.save(tmp_path / "step.py")
    assert "[3]" in (tmp_path / "step.py").read_text(encoding="utf-8")
