"""Arguments and values that are dicts, lists, tuples and named tuples of arrays, and has_aux."""

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce.engine.parameter_trees import leaves, leaves_like, map_leaves, rebuild

RNG = np.random.default_rng(2)


class Layer(NamedTuple):
    """A weight and a bias."""

    w: object
    b: object


def tree():
    """Every container in every other."""
    return {
        "layers": [Layer(RNG.normal(size=(2, 3)), RNG.normal(size=3)), ()],
        "out": (RNG.normal(size=(3,)), OrderedDict(scale=np.float64(1.5))),
    }


X = RNG.normal(size=(4, 2))


def f(p, x):
    (layer, _), (w, more) = p["layers"], p["out"]
    return (np.tanh(x @ layer.w + layer.b) @ w * more["scale"]).sum()


def flat(t):
    return np.concatenate([np.ravel(leaf.data if isinstance(leaf, tg.Tensor) else leaf)
                           for leaf in leaves(t)])  # fmt: skip


def at(p, vector):
    """The tree with the numbers of a vector, or of a Tensor that is one."""
    ends = np.cumsum([np.size(leaf) for leaf in leaves(p)])
    parts = [
        vector[end - np.size(leaf) : end].reshape(np.shape(leaf))
        for leaf, end in zip(leaves(p), ends, strict=True)
    ]
    return rebuild(p, iter(parts))


def of_vector(p, x=X):
    return lambda v: f(at(p, v), x)


def same_containers(a, b):
    leaves_like(a, b, "tree")  # which raises if they differ
    assert len(leaves(a)) == len(leaves(b))


P = tree()
V = flat(P)


def test_gradients_have_the_containers_of_their_argument():
    value, found = tg.value_and_grad(f)(P, X)
    same_containers(found, P)
    assert type(found["out"][1]) is OrderedDict
    assert isinstance(found["layers"][0], Layer)
    np.testing.assert_allclose(flat(found), tg.grad(of_vector(P))(V).data, rtol=1e-13)
    assert value.item() == f(map_leaves(tg.Tensor, P), X).item()


def test_several_arguments_some_of_them_trees():
    by_x, by_p = tg.grad(f, (1, 0))(P, X)
    assert by_x.shape == X.shape
    same_containers(by_p, P)


def test_a_tree_that_is_not_differentiated_becomes_tensors_too():
    by_x = tg.grad(f, 1)(P, X)
    np.testing.assert_allclose(by_x.data, tg.grad(lambda x: f(map_leaves(tg.Tensor, P), x))(X).data)


def test_second_derivatives_of_trees():
    h = tg.hessian(f)(P, X)
    same_containers(h["out"][0], P)
    dense = tg.hessian(of_vector(P))(V).data
    row = h["layers"][0].w["out"][0]  # ∂²f / ∂w ∂out
    assert row.shape == (2, 3, 3)
    np.testing.assert_allclose(row.data.reshape(6, 3), dense[:6, 9:12], rtol=1e-12)
    direction = RNG.normal(size=V.size)
    product = tg.hvp(lambda p: f(p, X), P, at(P, direction))
    same_containers(product, P)
    np.testing.assert_allclose(flat(product), dense @ direction, rtol=1e-11, atol=1e-12)


def outputs(p):
    return {"a": p["x"] ** 2, "b": [np.sin(p["x"]).sum() * p["y"], p["y"]]}


POINT = {"x": np.array([1.0, 2.0, -1.0]), "y": np.float64(0.5)}


def flattened(v):
    y = outputs({"x": v[:3], "y": v[3]})
    return np.concatenate([y["a"], y["b"][0].reshape(1), y["b"][1].reshape(1)])


DENSE = tg.jacobian(flattened)(np.array([1.0, 2.0, -1.0, 0.5])).data


def test_values_can_be_trees_of_vjp_jvp_and_jacobian():
    value, pullback = tg.vjp(outputs, POINT)
    same_containers(value, {"a": np.zeros(3), "b": [np.zeros(()), np.zeros(())]})
    cotangent = {"a": np.array([1.0, -2.0, 0.5]), "b": [3.0, -1.0]}
    found = pullback(cotangent)
    same_containers(found, POINT)
    np.testing.assert_allclose(flat(found), flat(cotangent) @ DENSE, rtol=1e-13)
    tangent = {"x": np.array([0.1, 0.2, 0.3]), "y": 2.0}
    value, along = tg.jvp(outputs, [POINT], [tangent])
    np.testing.assert_allclose(flat(along), DENSE @ flat(tangent), rtol=1e-13)
    jacobian = tg.jacobian(outputs)(POINT)
    assert jacobian["a"]["x"].shape == (3, 3)
    assert jacobian["b"][0]["y"].shape == ()
    np.testing.assert_allclose(jacobian["a"]["x"].data, DENSE[:3, :3], rtol=1e-13)
    np.testing.assert_allclose(jacobian["b"][0]["x"].data, DENSE[3, :3], rtol=1e-13)


def test_has_aux_passes_the_second_part_on():
    def with_aux(x):
        return (x * x).sum(), {"norm": abs(x).sum(), "name": "x"}

    x = np.array([1.0, -2.0])
    gradient, aux = tg.grad(with_aux, has_aux=True)(x)
    assert (gradient.data.tolist(), aux["name"], aux["norm"].item()) == ([2, -4], "x", 3)
    assert not aux["norm"].requires_grad
    (value, aux), gradient = tg.value_and_grad(with_aux, has_aux=True)(x)
    assert (value.item(), aux["norm"].item(), gradient.data.tolist()) == (5, 3, [2, -4])
    value, pullback, aux = tg.vjp(with_aux, x, has_aux=True)
    assert (pullback(1.0).data.tolist(), aux["name"]) == ([2, -4], "x")
    value, tangent, aux = tg.jvp(with_aux, [x], [[1.0, 1.0]], has_aux=True)
    assert (tangent.item(), aux["name"]) == (-2, "x")
    jacobian, aux = tg.jacobian(lambda x: (x * x, "aux"), has_aux=True)(x)
    assert (np.diag(jacobian.data).tolist(), aux) == ([2, -4], "aux")


def test_elementwise_grad_is_the_derivative_of_each_element():
    x = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(tg.elementwise_grad(np.tanh)(x).data, 1 - np.tanh(x) ** 2)
    second = tg.elementwise_grad(tg.elementwise_grad(np.sin))(x)
    np.testing.assert_allclose(second.data, -np.sin(x))


def test_lists_of_numbers_are_arrays_and_lists_of_arrays_are_trees():
    assert tg.grad(lambda x: (x * x).sum())([1.0, 2.0]).data.tolist() == [2, 4]
    found = tg.grad(lambda xs: xs[0] * xs[1])([np.array(2.0), tg.Tensor(5.0)])
    assert [g.item() for g in found] == [5, 2]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: tg.grad(lambda p: p["x"])({"x": "text"}), TypeError, "with respect to numbers"),
        (lambda: tg.grad(lambda p: p)({"x": 1.0}), TypeError, "that return a Tensor"),
        (lambda: tg.grad(lambda x: x, has_aux=True)(1.0), TypeError, "must return a pair"),
        (lambda: tg.vjp(outputs, POINT)[1]({"a": 1.0}), ValueError, "expected the containers"),
        (lambda: tg.vjp(outputs, POINT)[1]({"a": 1.0, "b": [1.0, 1.0]}), ValueError, "shape"),
        (lambda: tg.vjp(outputs, POINT)[1]({"a": X, "b": [1.0]}), ValueError, "containers"),
        (lambda: tg.jvp(outputs, [POINT], [{"x": 1.0}]), ValueError, "tangent 0: expected"),
        (lambda: tg.hvp(lambda p: f(p, X), P, {}), ValueError, "hvp: v: expected"),
        (lambda: tg.vjp(lambda x: (x, 1), 1.0), TypeError, "must return a Tensor, got int"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_step_with_a_tree_compiles():
    def step(x):
        return tg.grad(lambda p: f(p, x))(at(P, tg.Tensor(V)))["out"][0]

    np.testing.assert_array_equal(tg.compile(step)(X).data, step(tg.Tensor(X)).data)
