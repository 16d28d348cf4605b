"""Integers that index arrays are NumPy's intp, of 32 bits on some platforms, as in a browser.

On those, what NumPy returns as an index (argmax, arange, nonzero) is int32. Whoever takes it for
int64 there copies it, or finds that dtypes differ that are the same elsewhere.
"""

import ast
from pathlib import Path

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim

PACKAGE = Path(tg.__file__).parent

# Where integers of 64 bits are meant, and no index that NumPy makes.
MEANT = {
    "data": "labels and codes are int64 on all platforms, as the documentation says",
    "train/metrics.py": "so are predictions and counts",
    "play": "labels again, and the bins of histograms",
    "verify/comparison.py": "the bits of float64, to count the numbers between two",
    "export": "ONNX has indices and shapes in int64",
    "compiler/codegen/c": "C reads the int64 that labels are, or leaves it to NumPy",
    "engine/tensor.py": "the dtypes that a repr leaves out, as NumPy's does",
    "other_names.py": "what PyTorch calls a dtype",
}


def wide_integers(path):
    """The lines that name an integer dtype of 64 bits, types such as NDArray[np.int64] aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    types = {inner for node in ast.walk(tree) if isinstance(node, ast.Subscript)
             for inner in ast.walk(node.slice)}  # fmt: skip
    for node in ast.walk(tree):
        wide = isinstance(node, ast.Attribute) and node.attr in ("int64", "uint64")
        if wide and node not in types:
            yield node.lineno


def files_with_wide_integers():
    for path in sorted(PACKAGE.rglob("*.py")):
        lines = sorted({*wide_integers(path)})
        if lines:
            yield path.relative_to(PACKAGE).as_posix(), lines


def test_int64_is_named_only_where_it_is_meant():
    found = {name: lines for name, lines in files_with_wide_integers()
             if not any(name == part or name.startswith(f"{part}/") for part in MEANT)}  # fmt: skip
    allowed = {"compiler/passes.py"}  # which asks of an index whether it is uint64
    assert {*found} <= allowed, found
    for part in MEANT:
        assert (PACKAGE / part).exists()


@pytest.mark.parametrize("backend", ["numpy"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_labels_of_32_bits_train_as_those_of_64_do(dtype, backend):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 4)), rng.integers(0, 3, 12)
    tokens = rng.integers(0, 5, (12, 2))
    curves = []
    for kind in (np.int64, dtype):
        model = nn.MLP([8, 6, 3], rng=0, dtype=np.float64)
        vectors = nn.Embedding(5, 2, rng=1, dtype=np.float64)
        optimizer = optim.Adam([*model.parameters(), *vectors.parameters()], lr=0.01)

        def step(X, tokens, y, model=model, vectors=vectors, optimizer=optimizer):
            rows = tg.concatenate([X, vectors(tokens).reshape(len(X), 4)], 1)
            loss = F.cross_entropy(model(rows), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        run = tg.compile(step, backend=backend)
        curves.append([run(X, tokens.astype(kind), y.astype(kind)).item() for _ in range(5)])
    assert curves[0] == curves[1]
