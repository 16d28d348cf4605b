"""The same seed gives the same bits, in any process."""

import os
import subprocess
import sys

import pytest

RUN = """
import hashlib
import numpy as np
import tinygrad_ce as tg
from tinygrad_ce import functional as F, nn, optim

rng = np.random.default_rng(0)
X, y = rng.normal(size=(64, 6)), rng.integers(0, 3, 64)
model = nn.MLP([6, 16, 3], rng=1)
adam = optim.Adam(model.parameters(), lr=0.05)
for _ in range(30):
    loss = F.cross_entropy(model(X), y)
    adam.zero_grad()
    loss.backward(retain_graph=True)
    adam.step()
    print(loss.item().hex())
print(hashlib.sha256(tg.draw(loss).dot.encode()).hexdigest())
print([hash(p.grad.tobytes()) is None for p in model.parameters()], model)
print(hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest())
"""


@pytest.mark.slow
def test_twenty_processes_with_other_hash_seeds_print_the_same_bits():
    def start(seed):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(seed),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-c", RUN]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    printed = []
    for pair in range(0, 20, 2):
        processes = [start(seed * 17 + 1) for seed in (pair, pair + 1)]
        printed += [process.communicate()[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
    assert len(printed[0].splitlines()) == 33
    assert set(printed) == {printed[0]}
