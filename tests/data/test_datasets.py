import gzip
import hashlib
import re
from importlib.resources import files

import numpy as np
import pytest

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
