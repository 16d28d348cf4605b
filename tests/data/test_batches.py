import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_ce import data

# train_test_split


@st.composite
def labelled_rows(draw):
    """X whose rows tell where they came from, and labels with at least two rows a class."""
    counts = draw(st.lists(st.integers(2, 12), min_size=1, max_size=5))
    y = np.repeat(np.arange(len(counts)) * 3 - 2, counts)
    y = np.random.default_rng(draw(st.integers(0, 99))).permutation(y)
    return np.column_stack([np.arange(len(y)), y]), y


fractions = st.floats(0, 1, exclude_min=True, exclude_max=True)


@given(labelled_rows(), fractions, st.integers(0, 2**32))
def test_split_puts_each_row_with_its_label_into_one_part(rows, fraction, seed):
    X, y = rows
    X_train, X_test, y_train, y_test = data.train_test_split(X, y, fraction, seed)
    assert sorted([*X_train[:, 0], *X_test[:, 0]]) == list(range(len(X)))
    np.testing.assert_array_equal(X_train[:, 1], y_train)
    np.testing.assert_array_equal(X_test[:, 1], y_test)


@given(labelled_rows(), fractions, st.integers(0, 2**32))
def test_split_gives_each_class_its_proportion_and_a_row_in_both_parts(rows, fraction, seed):
    X, y = rows
    _, _, y_train, y_test = data.train_test_split(X, y, fraction, seed)
    for label, count in zip(*np.unique(y, return_counts=True), strict=True):
        in_test = np.count_nonzero(y_test == label)
        assert in_test == min(max(round(count * fraction), 1), count - 1)
        assert np.count_nonzero(y_train == label) == count - in_test


@given(labelled_rows(), st.integers(0, 2**32))
def test_same_seed_makes_the_same_split(rows, seed):
    first = data.train_test_split(*rows, rng=seed)
    second = data.train_test_split(*rows, rng=seed)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_split_does_not_depend_on_the_process():
    code = (
        "from tinygrad_ce import data; X, y, _ = data.iris(); "
        "print(data.train_test_split(X, y)[3].tolist())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    X, y, _ = data.iris()
    assert run.stdout.strip() == str(data.train_test_split(X, y)[3].tolist())


def test_another_seed_makes_another_split():
    X, y, _ = data.iris()
    _, _, y_train, _ = data.train_test_split(X, y, rng=0)
    _, _, y_other, _ = data.train_test_split(X, y, rng=1)
    assert (y_train != y_other).any()


def test_both_parts_are_shuffled():
    y = np.repeat([0, 1], 100)
    X_train, X_test, _, _ = data.train_test_split(np.arange(200), y, test_size=0.5)
    for part in (X_train, X_test):
        steps = np.diff(part)
        assert (steps < 0).any()
        assert (steps > 0).any()
        assert not np.isin(part[:40], range(100)).all()


def test_split_of_iris_is_40_and_10_of_each_species():
    X, y, _ = data.iris()
    X_train, X_test, y_train, y_test = data.train_test_split(X, y, test_size=0.2)
    assert X_train.shape == (120, 4)
    assert X_test.shape == (30, 4)
    assert np.bincount(y_train).tolist() == [40, 40, 40]
    assert np.bincount(y_test).tolist() == [10, 10, 10]


def test_split_keeps_dtypes_and_leaves_its_arguments_alone():
    X, y = np.arange(8, dtype=np.float16).reshape(4, 2), np.array(list("abab"))
    X_before, y_before = X.copy(), y.copy()
    X_train, X_test, y_train, y_test = data.train_test_split(X, y, 0.5)
    assert X_train.dtype == X_test.dtype == np.float16
    assert y_train.dtype == y_test.dtype == y.dtype
    for part in (X_train, y_train, X_test, y_test):
        part[:] = part[0]
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(y, y_before)


def test_split_takes_images_as_well_as_rows():
    images = np.zeros((6, 8, 8))
    X_train, X_test, _, _ = data.train_test_split(images, np.zeros(6, int), 0.5)
    assert X_train.shape == X_test.shape == (3, 8, 8)


def test_split_leaves_numpys_global_random_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    data.train_test_split(np.arange(4), np.zeros(4, int))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 1.5, 20, float("nan"), float("inf")])
def test_split_refuses_a_fraction_outside_0_and_1(fraction):
    with pytest.raises(ValueError, match=f"test_size is {fraction}: expected a number between"):
        data.train_test_split(np.arange(4), np.zeros(4, int), fraction)


@pytest.mark.parametrize(
    ("labels", "lone"),
    [
        (np.array([4, 4, 7, 4, 4]), "7"),
        (np.array(list("aabaa")), "'b'"),
        (np.array(list("aabaa"), dtype=object), "'b'"),
    ],
)
def test_split_refuses_a_class_with_a_single_row_and_says_where_it_is(labels, lone):
    with pytest.raises(ValueError, match=f"class {lone} has a single row, row 2: expected at"):
        data.train_test_split(np.arange(5), labels)


def test_split_refuses_one_hot_targets():
    with pytest.raises(ValueError, match=r"y has shape \(3, 3\): .*y\.argmax\(axis=1\)"):
        data.train_test_split(np.arange(3), np.eye(3))


def test_split_refuses_empty_data():
    with pytest.raises(ValueError, match="no rows"):
        data.train_test_split(np.zeros((0, 4)), np.zeros(0, int))


# minibatches


@given(
    n=st.integers(0, 40),
    batch_size=st.integers(1, 50),
    rng=st.none() | st.integers(0, 2**32),
    drop_last=st.booleans(),
)
def test_batches_hold_every_row_once_with_its_target(n, batch_size, rng, drop_last):
    X, y = np.arange(n).reshape(n, 1) * 10, np.arange(n)
    batches = list(data.minibatches(X, y, batch_size, rng, drop_last))
    full, rest = divmod(n, batch_size)
    sizes = [batch_size] * full + ([rest] if rest and not drop_last else [])
    assert [len(y_batch) for _, y_batch in batches] == sizes
    for X_batch, y_batch in batches:
        assert X_batch.shape == (len(y_batch), 1)
        np.testing.assert_array_equal(X_batch[:, 0], y_batch * 10)
    seen = [label for _, y_batch in batches for label in y_batch.tolist()]
    assert len(seen) == len(set(seen)) == sum(sizes)
    if rng is None:
        assert seen == list(range(sum(sizes)))
    elif not drop_last:
        assert sorted(seen) == list(range(n))


def order(rng, n=100):
    rows = np.arange(n)
    return [label for _, y in data.minibatches(rows, rows, 7, rng) for label in y.tolist()]


@pytest.mark.parametrize("seed", [0, 1, np.int64(2)])
def test_a_seed_shuffles_in_the_same_way_at_every_call(seed):
    assert order(seed) == order(seed)
    assert order(seed) != list(range(100))


def test_different_seeds_shuffle_differently():
    assert order(0) != order(1)


def test_a_generator_shuffles_again_at_every_call_and_can_be_repeated():
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    first, second = order(rng), order(rng)
    assert first != second
    assert [first, second] == [order(same), order(same)]


def test_drop_last_with_a_batch_larger_than_the_data_yields_nothing():
    assert list(data.minibatches(np.arange(3), np.arange(3), 4, drop_last=True)) == []


@pytest.mark.parametrize("rng", [None, 0])
def test_changing_a_batch_leaves_the_data_alone(rng):
    X, y = np.ones((6, 2)), np.ones(6, int)
    for X_batch, y_batch in data.minibatches(X, y, 4, rng):
        X_batch[:] = -1
        y_batch[:] = -1
    assert (X == 1).all()
    assert (y == 1).all()


def test_batches_keep_dtypes():
    batch = next(data.minibatches(np.zeros((3, 2), np.float16), np.zeros(3, np.int8), 2))
    assert [part.dtype for part in batch] == [np.float16, np.int8]


@pytest.mark.parametrize("batch_size", [0, -1, np.int64(0)])
def test_minibatches_refuses_a_size_below_one_at_the_call(batch_size):
    with pytest.raises(ValueError, match=rf"batch_size is {batch_size}: expected at least 1"):
        data.minibatches(np.arange(3), np.arange(3), batch_size)


@pytest.mark.parametrize("batch_size", [2.0, "2", None, True])
def test_minibatches_refuses_a_size_that_is_no_integer_at_the_call(batch_size):
    with pytest.raises(TypeError, match=rf"batch_size is {batch_size!r}: expected an integer"):
        data.minibatches(np.arange(3), np.arange(3), batch_size)


# Both take X and y together


pairing = pytest.mark.parametrize(
    "call",
    [data.train_test_split, lambda X, y: data.minibatches(X, y, 2)],
    ids=["train_test_split", "minibatches"],
)


@pairing
def test_unequal_lengths_are_refused_at_the_call(call):
    with pytest.raises(ValueError, match=r"X has 4 rows and y has 3: expected one target a row"):
        call(np.zeros((4, 2)), np.zeros(3, int))


@pairing
@pytest.mark.parametrize(("X", "y", "name"), [(1.0, [0, 0], "X"), ([0, 0], 1, "y")])
def test_scalars_are_refused(call, X, y, name):
    with pytest.raises(ValueError, match=f"{name} is a scalar"):
        call(np.array(X), np.array(y))


# Larger than memory


def test_batches_of_a_memory_map_read_the_rows_of_a_batch_alone(tmp_path):
    np.save(tmp_path / "X.npy", np.arange(24.0).reshape(12, 2))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    y = np.arange(12)
    for X_batch, y_batch in data.minibatches(X, y, 5, rng=0):
        assert not isinstance(X_batch, np.memmap)
        assert X_batch.base is None
        np.testing.assert_array_equal(X_batch[:, 0], 2 * y_batch)
