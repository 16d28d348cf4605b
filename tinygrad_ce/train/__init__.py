"""Training a classifier: the loop, and the metrics.

>>> from tinygrad_ce import data, nn, optim
>>> X, y, names = data.iris()
>>> X_train, X_test, y_train, y_test = data.train_test_split(X, y, test_size=0.5)
>>> standardizer = data.Standardizer().fit(X_train)
>>> X_train, X_test = standardizer.transform(X_train), standardizer.transform(X_test)
>>> model = nn.MLP([4, 16, 3], rng=0)
>>> optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
>>> history = fit(model, optimizer, X_train, y_train, epochs=20, batch_size=32, rng=0)
>>> accuracy(model, X_test, y_test) > 0.9
True
"""

from .history import History
from .loop import fit
from .metrics import accuracy, confusion_matrix, evaluate, predict
from .stopping import EarlyStopping
from .training import Training

__all__ = [
    "fit",
    "History",
    "EarlyStopping",
    "Training",
    "evaluate",
    "predict",
    "accuracy",
    "confusion_matrix",
]


def __dir__() -> list[str]:
    return __all__
