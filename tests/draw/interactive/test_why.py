"""Where the page says that a gradient is softmax − one-hot, and along which paths that comes."""

import numpy as np
import pytest
from draw.interactive.pages import parameter

import tinygrad_ce as tg
from tinygrad_ce import closed_form, nn
from tinygrad_ce import functional as F
from tinygrad_ce.draw.interactive.steps import Trace
from tinygrad_ce.engine.graph import topological_order


def by_definition(z, t):
    e = z.exp()
    p = e / e.sum(axis=-1, keepdims=True)
    return -(p[np.arange(len(t)), t].log()).mean()


def by_log_sum_exp(z, t):
    return (z.exp().sum(axis=-1).log() - z[np.arange(len(t)), t]).mean()


def by_log_softmax(z, t):
    return -F.log_softmax(z)[np.arange(len(t)), t].mean()


def by_multiplying_with_one_hot(z, t):
    return -(F.log_softmax(z) * F.one_hot(t, z.shape[-1])).sum() / len(t)


FORMS = [
    by_definition,
    by_log_sum_exp,
    by_log_softmax,
    by_multiplying_with_one_hot,
    F.cross_entropy,
    lambda z, t: F.naive_cross_entropy(z, t).mean(),
    lambda z, t: F.shifted_cross_entropy(z, t).mean(),
]


def trace_of(loss):
    trace = Trace(topological_order(loss), [loss])
    return trace, trace.data()


def array_of(data, number):
    entry = data["arrays"][number]
    return np.reshape(entry["data"], entry["shape"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(1, 2), (1, 3), (4, 3), (7, 10)])
@pytest.mark.parametrize("form", FORMS)
def test_two_paths_bring_softmax_and_minus_one_hot(form, shape, dtype):
    rng = np.random.default_rng(0)
    z = parameter(rng.normal(size=shape), "z", dtype=dtype)
    t = rng.integers(shape[1], size=shape[0])
    trace, data = trace_of(form(z, t))
    (found,) = data["logits"]
    assert found["node"] == trace.id[z]
    assert found["rows"] == shape[0]
    p, y = closed_form.softmax(z.data), np.eye(shape[1])[t]
    paths = found["paths"]
    tolerance = {"rtol": 0, "atol": 1e-15 if dtype is np.float64 else 1e-6}
    np.testing.assert_allclose(array_of(data, paths["softmax"]["array"]), p / shape[0], **tolerance)
    np.testing.assert_allclose(
        array_of(data, paths["one_hot"]["array"]), -y / shape[0], **tolerance
    )
    assert found["is_cross_entropy"]
    assert "sum" in paths["softmax"]["through"]
    assert "sum" not in paths["one_hot"]["through"]


def test_logits_that_are_computed_are_found_and_what_they_are_made_of_is_not():
    model = nn.MLP([4, 5, 3], rng=0, dtype=np.float64)
    logits = model(tg.Tensor(np.ones((2, 4)), name="x"))
    trace, data = trace_of(F.cross_entropy(logits, [0, 2]))
    assert [found["node"] for found in data["logits"]] == [trace.id[logits]]


def scaled(z, t):
    return 2.0 * F.cross_entropy(z, t)


def weighted(z, t):
    return F.cross_entropy(z, t, weight=[1.0, 2.0, 3.0])


def smoothed(z, t):
    return F.cross_entropy(z, t, label_smoothing=0.1)


def squared_error(z, t):
    return ((F.softmax(z) - F.one_hot(t, 3)) ** 2).mean()


def unused(z, t):
    return (z * 0.0).sum()


@pytest.mark.parametrize(
    "loss",
    [scaled, weighted, smoothed, squared_error, unused],
    ids=lambda f: f.__name__,
)
def test_of_any_other_gradient_it_is_not_said(loss):
    z = parameter(np.random.default_rng(1).normal(size=(4, 3)) * 3, "z")
    assert trace_of(loss(z, np.array([0, 1, 2, 1])))[1]["logits"] == []


def test_where_more_is_added_to_the_gradient_it_is_said_of_what_is_before_that():
    z = parameter([[2.0, 1.0, 0.1]], "z")
    trace, data = trace_of(F.cross_entropy(z, [0]) + (z * z).sum())
    (found,) = data["logits"]
    assert not found["is_cross_entropy"]
    shifted = trace.nodes[int(found["node"][1:])]
    assert shifted.primitive.name == "subtract"
    assert shifted.inputs[0] is z


def test_where_it_comes_along_other_paths_it_is_said_without_them():
    z = parameter([[2.0, 1.0, 0.1]], "z")
    _, data = trace_of(F.margin_cross_entropy(z, [0]).mean())
    (found,) = data["logits"]
    assert "paths" not in found
    assert found["largest"] < 1e-15
