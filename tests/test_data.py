import gzip
import hashlib
import re
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_ce import data

DATASETS_FOLDER = files("tinygrad_ce") / "datasets"
FILENAMES = ("iris.csv", "digits.csv.gz")


# The data sets


@pytest.mark.parametrize(("name", "shape"), [("iris", (150, 4)), ("digits", (1797, 64))])
def test_dataset_has_the_promised_shapes_and_dtypes(name, shape):
    X, y, names = data.DATASETS[name]()
    assert X.shape == shape
    assert X.dtype == np.float32
    assert X.flags.c_contiguous
    assert y.shape == shape[:1]
    assert y.dtype == np.int64
    assert isinstance(names, tuple)
    assert all(type(label) is str for label in names)
    assert sorted(set(y.tolist())) == list(range(len(names)))


def test_registry_holds_every_dataset_under_its_functions_name():
    assert list(data.DATASETS) == ["iris", "digits"]
    assert all(getattr(data, name) is load for name, load in data.DATASETS.items())


@pytest.mark.parametrize("name", data.DATASETS)
def test_every_dataset_names_each_of_its_features_differently(name):
    X, _, _ = data.DATASETS[name]()
    features = data.feature_names(name)
    assert len(features) == len(set(features)) == X.shape[1]


def test_unknown_dataset_is_refused_with_the_known_names():
    with pytest.raises(ValueError, match=r"one of iris, digits, got 'wine'"):
        data.feature_names("wine")


def test_iris_has_fifty_flowers_of_each_species():
    _, y, names = data.iris()
    assert names == ("setosa", "versicolor", "virginica")
    assert np.bincount(y).tolist() == [50, 50, 50]


def test_iris_has_the_means_of_fishers_table():
    X, y, _ = data.iris()
    means = [X[y == k].mean(axis=0, dtype=np.float64) for k in range(3)]
    fisher = [
        [5.006, 3.428, 1.462, 0.246],
        [5.936, 2.770, 4.260, 1.326],
        [6.588, 2.974, 5.552, 2.026],
    ]
    np.testing.assert_allclose(means, fisher, atol=1e-6)


def test_iris_has_both_corrections_to_the_uci_file():
    X, _, _ = data.iris()
    np.testing.assert_array_equal(X[34], np.float32([4.9, 3.1, 1.5, 0.2]))
    np.testing.assert_array_equal(X[37], np.float32([4.9, 3.6, 1.4, 0.1]))


def test_digits_has_the_published_class_counts():
    _, y, names = data.digits()
    assert names == tuple("0123456789")
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_counts_ink_from_0_to_16():
    X, _, _ = data.digits()
    assert set(np.unique(X)) == set(range(17))
    assert X.mean(dtype=np.float64) == pytest.approx(4.884165, abs=1e-6)


def test_digits_begins_with_the_published_rows():
    X, y, _ = data.digits()
    assert y[:10].tolist() == list(range(10))
    top_of_zero = [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]
    assert X[0].reshape(8, 8)[:2].tolist() == top_of_zero
    assert data.feature_names("digits")[8 * 2 + 5] == "pixel 2 5"


@pytest.mark.parametrize("name", data.DATASETS)
def test_changing_a_loaded_dataset_leaves_the_next_one_as_it_was(name):
    load = data.DATASETS[name]
    X, y, _ = load()
    X_before, y_before = X.copy(), y.copy()
    X[:] = -1
    y[:] = -1
    X_after, y_after, _ = load()
    np.testing.assert_array_equal(X_after, X_before)
    np.testing.assert_array_equal(y_after, y_before)


@pytest.mark.parametrize("filename", FILENAMES)
def test_file_has_the_checksum_that_sources_md_gives(filename):
    sources = (DATASETS_FOLDER / "SOURCES.md").read_text(encoding="utf-8")
    row = re.compile(rf"^\| {re.escape(filename)} \|.*\| (\w+) \|$", re.MULTILINE)
    digest = hashlib.sha256((DATASETS_FOLDER / filename).read_bytes()).hexdigest()
    assert row.findall(sources) == [digest]


def test_every_file_of_the_folder_is_accounted_for():
    assert {file.name for file in DATASETS_FOLDER.iterdir()} == {*FILENAMES, "SOURCES.md"}


def test_gzip_header_holds_no_date():
    header = (DATASETS_FOLDER / "digits.csv.gz").read_bytes()[:8]
    assert header[4:8] == bytes(4)


@pytest.mark.parametrize("filename", FILENAMES)
def test_file_carries_its_attribution_and_licence(filename):
    raw = (DATASETS_FOLDER / filename).read_bytes()
    text = (gzip.decompress(raw) if filename.endswith(".gz") else raw).decode()
    assert re.match(r"# .*(Fisher|Alpaydin).*CC BY 4\.0", text)


@pytest.mark.parametrize("name", data.DATASETS)
def test_data_equal_those_of_scikit_learn(name):
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = getattr(datasets, f"load_{name}")()
    X, y, names = data.DATASETS[name]()
    np.testing.assert_array_equal(X, theirs.data.astype(np.float32))
    np.testing.assert_array_equal(y, theirs.target)
    assert list(names) == [str(label) for label in theirs.target_names]


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


# standardize


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_standardized_training_part_has_mean_0_and_std_1_in_its_own_dtype(dtype):
    X = np.random.default_rng(0).normal(3, 5, size=(200, 4)).astype(dtype)
    (standard,) = data.standardize(X)
    assert standard.dtype == dtype
    tolerance = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(standard.mean(axis=0, dtype=np.longdouble), 0, atol=tolerance)
    np.testing.assert_allclose(standard.std(axis=0, dtype=np.longdouble), 1, atol=tolerance)


def test_other_parts_are_scaled_by_the_training_part_alone():
    rng = np.random.default_rng(0)
    train, test, more = rng.normal(size=(9, 3)), rng.normal(2, 3, size=(5, 3)), np.zeros((0, 3))
    results = data.standardize(train, test, more)
    assert isinstance(results, tuple)
    np.testing.assert_allclose(results[1], (test - train.mean(0)) / train.std(0))
    assert results[2].shape == (0, 3)
    np.testing.assert_array_equal(results[0], data.standardize(train)[0])


@pytest.mark.parametrize("value", [0, 5, 0.1, 1e30, 3e-42])
def test_constant_columns_become_zero_in_every_part(value):
    train = np.full((7, 2), value, np.float32)
    train[:, 1] = np.arange(7)
    scaled_train, scaled_test = data.standardize(train, train[:3] + 1)
    assert (scaled_train[:, 0] == 0).all()
    assert (scaled_test[:, 0] == 0).all()
    assert (scaled_train[:, 1] != 0).sum() == 6


def test_column_whose_variance_underflows_becomes_zero_without_a_warning():
    (scaled,) = data.standardize(np.array([[0.0], [1e-200]]))
    assert scaled.tolist() == [[0.0], [0.0]]


def test_standardized_digits_are_finite():
    X, y, _ = data.digits()
    X_train, X_test, _, _ = data.train_test_split(X, y)
    for part in data.standardize(X_train, X_test):
        assert np.isfinite(part).all()
    assert (X_train.std(axis=0) == 0).any()


def test_standardize_leaves_its_arguments_alone():
    X = np.arange(6.0).reshape(3, 2)
    (result,) = data.standardize(X)
    result[:] = 9
    assert X.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_parts_keep_each_its_own_dtype():
    results = data.standardize(np.eye(3), np.eye(3, dtype=np.float32))
    assert [part.dtype for part in results] == [np.float64, np.float32]


@pytest.mark.parametrize("dtype", [np.int64, bool, complex])
def test_standardize_refuses_dtypes_that_could_not_hold_the_result(dtype):
    with pytest.raises(TypeError, match=r"X_train has dtype \w+: expected a floating one"):
        data.standardize(np.eye(3, dtype=dtype))


def test_standardize_refuses_other_columns_and_says_which_part_has_them():
    with pytest.raises(ValueError, match=r"others\[1\] has rows of shape \(2,\): expected \(3,\)"):
        data.standardize(np.eye(3), np.eye(3), np.ones((3, 2)))


def test_standardize_refuses_an_empty_training_part():
    with pytest.raises(ValueError, match=r"X_train has shape \(0, 4\): expected at least one row"):
        data.standardize(np.zeros((0, 4)))


def test_standardize_refuses_a_scalar():
    with pytest.raises(ValueError, match="X_train is a scalar"):
        data.standardize(np.float64(3))
