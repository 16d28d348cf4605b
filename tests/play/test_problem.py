"""What a network learns from: points that are drawn, split, and seen in a plane."""

import numpy as np
import pytest

from tinygrad_ce import data
from tinygrad_ce.play.network_settings import Settings
from tinygrad_ce.play.point_sets import POINT_SETS, spirals
from tinygrad_ce.play.problem import find_plane, given_problem, make_problem


@pytest.mark.parametrize("name", POINT_SETS)
def test_points_are_the_same_for_a_seed_and_balanced(name):
    draw = POINT_SETS[name]
    (X, y), (again, _) = draw(91, rng=5), draw(91, rng=5)
    assert X.tobytes() == again.tobytes()
    assert (X.shape, X.dtype, y.dtype) == ((91, 2), np.float32, np.int64)
    counts = np.bincount(y)
    assert counts.max() - counts.min() <= 1
    assert not np.array_equal(draw(91, rng=6)[0], X)
    assert np.abs(draw(1_000, rng=0)[0]).max() < 2


@pytest.mark.parametrize("name", POINT_SETS)
def test_no_line_separates_the_points_but_a_neighbor_tells_the_class(name):
    X, y = POINT_SETS[name](200, noise=0.0)
    design = np.column_stack([X, np.ones(len(X))])
    targets = np.eye(y.max() + 1)[y]
    best = design @ np.linalg.lstsq(design, targets, rcond=None)[0]
    assert (best.argmax(axis=1) == y).mean() < 0.95
    distances = np.linalg.norm(X[:, None] - X[None], axis=2) + 9 * np.eye(len(X))
    assert (y[distances.argmin(axis=1)] == y).mean() > 0.95


@pytest.mark.parametrize(
    "arguments", [{"n": 1}, {"n": 2.5}, {"n": 10, "noise": -1}, {"n": 10, "rng": -1}]
)
@pytest.mark.parametrize("draw", POINT_SETS.values())
def test_wrong_arguments_are_refused(draw, arguments):
    with pytest.raises((TypeError, ValueError)):
        draw(**arguments)


def test_a_spiral_has_as_many_classes_as_arms():
    assert spirals(50, arms=5)[1].max() == 4
    with pytest.raises(ValueError, match="arms"):
        spirals(50, arms=1)


@pytest.mark.parametrize("d", [1, 2, 3, 64])
def test_the_cells_of_the_plane_are_where_they_are_seen(d):
    X = np.random.default_rng(d).normal(size=(80, d))
    plane = find_plane(X, ("a", "b"))
    places = plane.project(plane.grid(9)) if d > 1 else None
    left, right, bottom, top = plane.domain
    if d > 1:  # on a line, all cells of a column are one
        across = left + (right - left) * (np.arange(9) + 0.5) / 9
        assert np.allclose(places.reshape(9, 9, 2)[4, :, 0], across)
        assert places.reshape(9, 9, 2)[0, 0, 1] > places.reshape(9, 9, 2)[8, 0, 1]
        assert np.allclose(plane.axes @ plane.axes.T, np.eye(2))
    seen = plane.project(X)
    assert (seen >= [left, bottom]).all()
    assert (seen <= [right, top]).all()


def test_the_plane_of_many_features_shows_most_variance():
    X, _, _ = data.digits()
    plane = find_plane(X, ("a", "b"))
    seen = plane.project(X).var(axis=0).sum()
    others = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 2)))[0]
    assert seen > 2 * (X @ others).var(axis=0).sum()


@pytest.mark.parametrize("name", [*POINT_SETS, "iris", "digits"])
def test_a_test_set_is_kept_back(name):
    problem = make_problem(Settings(data=name, points=80))
    X, y = problem.test_set
    assert 0.2 < len(X) / (len(X) + len(problem.X)) < 0.3
    assert set(y) == set(problem.y) == set(range(len(problem.class_names)))
    rows = {row.tobytes() for row in problem.X}
    shared = sum(row.tobytes() in rows for row in X)
    assert shared <= (0 if name != "iris" else len(X))  # flowers can be alike


def test_ones_own_examples_are_all_for_training():
    problem = given_problem(np.arange(12).reshape(6, 2), [0, 1, 2, 0, 1, 2])
    assert problem.test_set is None
    assert (problem.X.dtype, len(problem.X)) == (np.float32, 6)
    assert problem.class_names == ("0", "1", "2")
