import numpy as np
import pytest

from tinygrad_ce import data
from tinygrad_ce.data import Standardizer, standardizer


def fit(X):
    return Standardizer().fit(X)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_standardized_training_set_has_mean_0_and_std_1_in_its_own_dtype(dtype):
    X = np.random.default_rng(0).normal(3, 5, size=(200, 4)).astype(dtype)
    standard = fit(X).transform(X)
    assert standard.dtype == dtype
    tolerance = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(standard.mean(axis=0, dtype=np.longdouble), 0, atol=tolerance)
    np.testing.assert_allclose(standard.std(axis=0, dtype=np.longdouble), 1, atol=tolerance)


def test_other_rows_are_scaled_as_the_training_set():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(9, 3)), rng.normal(2, 3, size=(5, 3))
    learned = fit(train)
    np.testing.assert_allclose(learned.transform(test), (test - train.mean(0)) / train.std(0))
    assert learned.transform(np.zeros((0, 3))).shape == (0, 3)


def test_inverse_gives_the_rows_back():
    X = np.random.default_rng(0).normal(3, 5, size=(20, 4))
    X[:, 1] = 7
    learned = fit(X)
    np.testing.assert_allclose(learned.inverse(learned.transform(X)), X, rtol=1e-14)
    assert (learned.inverse(learned.transform(X))[:, 1] == 7).all()


@pytest.mark.parametrize("value", [0, 5, 0.1, 1e30, 3e-42])
def test_constant_columns_become_zero_in_other_rows_too(value):
    train = np.full((7, 2), value, np.float32)
    train[:, 1] = np.arange(7)
    learned = fit(train)
    assert (learned.transform(train)[:, 0] == 0).all()
    assert (learned.transform(train[:3] + 1)[:, 0] == 0).all()
    assert (learned.transform(train)[:, 1] != 0).sum() == 6


def test_column_whose_variance_underflows_becomes_zero():
    X = np.array([[0.0], [1e-200]])
    assert fit(X).transform(X).tolist() == [[0.0], [0.0]]


def test_digits_are_finite_although_some_pixels_are_constant():
    X, y, _ = data.digits()
    X_train, X_test, _, _ = data.train_test_split(X, y)
    learned = fit(X_train)
    assert np.isfinite(learned.transform(X_test)).all()
    assert (learned.std == 0).any()


def test_blocks_of_a_memory_map_give_what_the_whole_gives(tmp_path, monkeypatch):
    X = np.random.default_rng(0).normal(3, 5, size=(103, 4))
    np.save(tmp_path / "X.npy", X)
    whole = fit(X)
    monkeypatch.setattr(standardizer, "BLOCK", 40)
    blocks = fit(np.load(tmp_path / "X.npy", mmap_mode="r"))
    np.testing.assert_allclose(blocks.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(blocks.std, whole.std, rtol=1e-14)
    np.testing.assert_allclose(whole.std, X.std(0), rtol=1e-14)


def test_arguments_are_left_alone():
    X = np.arange(6.0).reshape(3, 2)
    fit(X).transform(X)[:] = 9
    assert X.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_each_array_keeps_its_own_dtype():
    learned = fit(np.eye(3))
    assert learned.transform(np.eye(3, dtype=np.float32)).dtype == np.float32
    assert learned.inverse(np.eye(3, dtype=np.float16)).dtype == np.float16


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_integers_become_float64(dtype):
    X = np.array([[0, 1], [1, 1], [1, 0]], dtype)
    standard = fit(X).transform(X)
    assert standard.dtype == np.float64
    np.testing.assert_array_equal(standard, fit(X.astype(float)).transform(X.astype(float)))


@pytest.mark.parametrize("method", ["fit", "transform", "inverse"])
def test_what_is_no_number_is_refused(method):
    with pytest.raises(TypeError, match="X: real numbers"):
        getattr(fit(np.eye(3)), method)(np.full((3, 3), "a"))


@pytest.mark.parametrize("method", ["transform", "inverse"])
def test_other_columns_are_refused(method):
    with pytest.raises(ValueError, match=r"X has rows of shape \(2,\): expected \(3,\)"):
        getattr(fit(np.eye(3)), method)(np.ones((3, 2)))


@pytest.mark.parametrize("method", ["transform", "inverse"])
def test_what_has_learned_nothing_says_so(method):
    with pytest.raises(RuntimeError, match="learned nothing yet: fit"):
        getattr(Standardizer(), method)(np.eye(3))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((0, 4)), r"X has shape \(0, 4\): expected at least one row"),
        (np.float64(3), "X is a scalar"),
        ([[1.0, 2.0], [3.0, np.nan]], "X holds nan at row 1, column 1"),
        ([[1.0, np.inf], [3.0, 4.0]], "X holds inf at row 0, column 1"),
    ],
)
def test_what_has_no_mean_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        fit(X)
