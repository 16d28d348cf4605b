"""A sweep: how much of an accuracy is due to the settings, and how much to the seed?

    python examples/sweep.py
    python examples/sweep.py --seeds 50 --on dask
    python examples/sweep.py --on dask --scheduler tcp://192.168.1.5:8786

Each learning rate is trained with each of many seeds, and evaluated by cross-validation: a search
of scikit-learn, whose trainings are independent of one another. They run on processes of this
machine, or on a cluster of Dask, which goes on where a worker is lost. The only difference is
joblib's backend.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import parallel_config
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tinygrad_ce import data
from tinygrad_ce.sklearn import MLPClassifier

if TYPE_CHECKING:
    from dask.distributed import Client

RATES = (0.01, 0.03)
Array = NDArray[Any]


def make_search(X: Array, y: Array, seeds: Iterable[int], rates: Sequence[float]) -> GridSearchCV:
    """All learning rates with all seeds, each on three parts of the rows."""
    model = make_pipeline(StandardScaler(), MLPClassifier((16,), tol=1e-3, n_iter_no_change=3))
    grid = {
        "mlpclassifier__learning_rate_init": rates,
        "mlpclassifier__random_state": list(seeds),
    }
    parts = StratifiedKFold(3, shuffle=True, random_state=0).split(X, y)
    return GridSearchCV(model, grid, cv=[*parts])


def on_dask(
    client: Client, X: Array, y: Array, search: GridSearchCV
) -> AbstractContextManager[object]:
    """Let searches run on the cluster of a Client, and go on where a worker is lost.

    The rows, and which of them are for training, are given to all workers, and the scheduler is
    told to leave these copies where they are. Without either, `parallel_config("dask")` alone, the
    only copy can be lost with a worker, and the sweep with it.
    """
    client.amm.stop()
    return parallel_config("dask", scatter=[X, y, *chain(*search.cv)])


def table(search: GridSearchCV) -> str:
    """The mean accuracy of each learning rate, and how far seeds move it."""
    rates = search.cv_results_["param_mlpclassifier__learning_rate_init"]
    scores = search.cv_results_["mean_test_score"]
    lines = ["rate   mean accuracy  of seeds: deviation    worst     best"]
    for rate in np.unique(rates):
        of_rate = scores[rates == rate]
        measures = of_rate.mean(), of_rate.std(), of_rate.min(), of_rate.max()
        lines.append("{:<5}  {:13.4f}  {:19.4f}  {:7.4f}  {:7.4f}".format(rate, *measures))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sweep, and print its table."""
    parser = argparse.ArgumentParser(description="Train with many seeds and learning rates.")
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="how many")
    parser.add_argument("--on", choices=["processes", "dask"], default="processes")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a cluster of Dask that is there")
    arguments = parser.parse_args(argv)
    X, y, _ = data.digits()
    search = make_search(X, y, range(arguments.seeds), RATES)
    with ExitStack() as stack:
        if arguments.on == "dask":
            from dask.distributed import Client, LocalCluster

            cluster = arguments.scheduler or stack.enter_context(
                LocalCluster(
                    n_workers=arguments.workers, threads_per_worker=1, dashboard_address=None
                )
            )
            client = stack.enter_context(Client(cluster))
            stack.enter_context(on_dask(client, X, y, search))
        else:
            stack.enter_context(parallel_config("loky", n_jobs=arguments.workers))
        search.fit(X, y)
    print(table(search))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
