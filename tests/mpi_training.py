"""A training that tests start by mpiexec: python -m mpi4py mpi_training.py PATH [raise|die].

It saves a checkpoint to PATH after each epoch, goes on from there if there is one, and prints the
checksum of weights, state and curve in each process. With a word behind PATH, the last process ends
at epoch 3.
"""

import hashlib
import os
import signal
import sys
from pathlib import Path

import numpy as np

from tinygrad_ce import data, distributed, nn, optim, train
from tinygrad_ce.checkpoint import dumps

EPOCHS = 5


def start():
    rng = np.random.default_rng(0)
    layers = [nn.Linear(4, 16, rng=rng), nn.ReLU(), nn.Dropout(0.2, rng=rng)]
    model = nn.Sequential(*layers, nn.Linear(16, 3, rng=rng))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return nn.Checkpoint(model, optimizer, rng=rng, history=train.History())


def main(path, end=None):
    shards = distributed.Shards(4)
    run = nn.load(path) if path.exists() else start()

    def save(training):
        if shards.rank == 0:
            training.save(path)

    def end_last(training):
        if shards.rank == shards.size - 1 and training.epoch == 3:
            if end == "raise":
                raise ZeroDivisionError("of the last process")
            if end == "die":
                os.kill(os.getpid(), signal.SIGKILL)

    X, y, _ = data.iris()
    history = train.fit(
        run.model,
        run.optimizer,
        X,
        y,
        epochs=EPOCHS,
        batch_size=32,
        rng=run.rng,
        history=run.history,
        class_weight="balanced",
        callbacks=[end_last, save],
        shards=shards,
    )
    state = dumps(run.model, optimizer=run.optimizer, rng=run.rng, history=history)
    checksums = shards.gather(hashlib.sha256(state).hexdigest())
    if shards.rank == 0:  # lines of several processes could run into one another
        print(*checksums, sep="\n", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
