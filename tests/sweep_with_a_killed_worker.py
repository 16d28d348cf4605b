"""The sweep of examples/ on a cluster of Dask, one worker of which is killed in its midst.

Prints whether the worker was killed while it worked, and the scores of the sweep.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from dask.distributed import Client, LocalCluster

from tinygrad_ce import data

sys.path.append(str(Path(__file__).parents[1] / "examples"))
from sweep import make_search, on_dask


def make_sweep():
    """50 seeds, each trained on two thirds of some rows and evaluated on the others."""
    X, y, _ = data.digits()
    X, y = X[:200], y[:200]
    search = make_search(X, y, range(50), [0.03])
    search.cv = search.cv[:1]
    return X, y, search


def kill_a_worker(cluster, killed):
    """Kill the first worker that has trainings to do."""
    end = time.monotonic() + 120
    while time.monotonic() < end and not killed:
        for worker in [*cluster.scheduler.workers.values()]:
            if worker.processing and not killed:
                os.kill(cluster.workers[worker.name].pid, signal.SIGKILL)
                killed.append(worker.name)
        time.sleep(0.001)


def main():
    X, y, search = make_sweep()
    killed = []
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        on_dask(client, X, y, search),
    ):
        killer = threading.Thread(target=kill_a_worker, args=(cluster, killed))
        killer.start()
        search.fit(X, y)
        killer.join()
    scores = search.cv_results_["mean_test_score"].tolist()
    print(json.dumps({"killed": len(killed), "scores": scores}))


if __name__ == "__main__":
    main()
