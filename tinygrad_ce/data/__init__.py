"""Data as NumPy arrays: from CSV files and DataFrames, two data sets, and how to prepare rows.

>>> X, y, names = iris()
>>> X_train, X_test, y_train, y_test = train_test_split(X, y)
>>> standardizer = Standardizer().fit(X_train)
>>> X_train, X_test = standardizer.transform(X_train), standardizer.transform(X_test)
>>> for X_batch, y_batch in minibatches(X_train, y_train, batch_size=32, rng=0):
...     print(X_batch.shape, y_batch.shape)
(32, 4) (32,)
(32, 4) (32,)
(32, 4) (32,)
(18, 4) (18,)
"""

from .batches import minibatches, train_test_split
from .columns import CategoryColumn, NumberColumn
from .datasets import DATASETS, digits, feature_names, iris
from .standardizer import Standardizer
from .table import Encoder, Table, as_table, read_csv

__all__ = [
    "read_csv",
    "as_table",
    "Table",
    "Encoder",
    "NumberColumn",
    "CategoryColumn",
    "Standardizer",
    "train_test_split",
    "minibatches",
    "DATASETS",
    "digits",
    "feature_names",
    "iris",
]


def __dir__() -> list[str]:
    return __all__
