"""The source in C: it can be read, makes no warning, and leaves nothing behind."""

import gc
import re
import shlex
import subprocess
import sys
import sysconfig
import tracemalloc
import warnings
from itertools import pairwise

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import OPTIMIZERS, Training

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.compiler import native
from tinygrad_ce.compiler.codegen.c import helpers
from tinygrad_ce.compiler.codegen.c.expressions import sizes_text


def recorded(optimizer="SGD", **options):
    training = Training(optimizer)
    step = tg.compile(training.step, backend="c", **options)
    batch = training.batch(np.random.default_rng(11))
    step(*batch)
    return step, batch


def test_source_of_the_mlp_reads_like_a_page_of_c():
    step, _ = recorded()
    lines = [line.strip() for line in step.source.splitlines()]
    for line in (
        "One call: forward, backward and update.",
        "const float *X = data(args[0], NPY_FLOAT, 32 * 4);",
        "float *new_bias_1 = new_array(&owned[2], NPY_FLOAT, 1, (npy_intp[]){16});",
        "// MLP/Linear",
        "matmul_float(z, X, 'N', weight_1, 'N', 32, 4, 16);",
        "z[16 * i + j] += bias_1[j];",
        "tanh_float(h, z, 32 * 16);",
        "maxima[i] = largest_float(logits + 3 * i, 3, -FLT_MAX);",
        "dlogits[3 * i + y[i]] -= 0.03125f;",
        "const float loss = sum_float(losses, 32) / 32.0f;",
        "matmul_float(dh, dlogits, 'N', weight_2, 'T', 32, 3, 16);",
        "dz[k] = dh[k] * (1.0f - h[k] * h[k]);",
        "// update",
        "new_bias_1[i] = bias_1[i] - (float)lr * dbias_1[i];",
        "result = pack(owned, 9);",
    ):
        assert line in lines, f"{line}\n{step.source}"
    assert not re.search(r"\b1 \*|\* 1\b|_\d+_\d+\b|\(-[\d.]+f\)", step.source)


def test_only_arrays_and_scalars_of_numpy_need_its_warnings_off():
    """Entering errstate takes as long as the whole rest of a small step."""
    step, _ = recorded("Adam")
    assert "def by_numpy(t, lr):" in step.source
    assert "errstate" not in step.source
    halves = tg.compile(lambda x: x * x, backend="c", verify=0)
    halves(np.ones(3, np.float16))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isinf(halves(np.full(3, 6e4, np.float16)).data).all()
    assert "errstate" in halves.source


STEPS = [
    (name, fast, threads) for name in OPTIMIZERS for fast in (False, True) for threads in (1, 2)
]


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "fast", "threads"), STEPS[:: max(1, len(STEPS) // 8)])
def test_no_line_is_long_and_no_compiler_warns(optimizer, fast, threads, tmp_path):
    step, _ = recorded(optimizer, fast=fast, threads=threads)
    lines = step.source.splitlines()
    assert [line for line in lines if len(line) > 100 and not line.startswith('    "')] == []
    file = tmp_path / "step.c"
    step.save(file)
    includes = [f"-I{sysconfig.get_paths()['include']}", f"-I{np.get_include()}"]
    flags = [flag for flag in native.compile_flags(fast, threads) if flag != "-w"]
    strict = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-cast-function-type"]
    strict += ["-Wno-missing-field-initializers", "-Werror", "-O1"]  # which are Python's habits
    command = [*native.find_compiler(), *flags, *strict, *includes, file, "-o", tmp_path / "x.so"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_command_at_the_top_makes_a_module(tmp_path):
    step, _ = recorded()
    step.save(tmp_path / "step.c")
    command = step.source.partition("*/")[0].partition("       cc ")[2]
    command = f"{shlex.join(native.find_compiler())} {command}"
    command = command.replace("python3", shlex.quote(sys.executable))
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    code = (
        "import numpy as np, step; given = [np.ones(n, 'f') for n in ((4, 16), 16, (16, 3), 3)]\n"
        "found = step.step(np.ones((32, 4), 'f'), np.arange(32) % 3, *given, 0.1)\n"
        "assert len(found) == 9 and abs(found[0] - np.log(3)) < 1e-6"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_helpers_have_lines_to_be_read():
    for text in vars(helpers).values():
        if isinstance(text, str) and text.startswith("\n"):
            longest = helpers.helper(text, "double", "logaddexp")
            assert [line for line in longest.splitlines() if len(line) > 100] == []


@pytest.mark.parametrize(
    ("sizes", "text"),
    [((), "1"), ((3,), "3"), ((32, 1), "32"), ((1, 1), "1"), ((4, 1, 5), "4 * 5"),
     ((2**16, 2**15 - 1), "65536 * 32767"), ((2**16, 2**15), "(npy_intp)65536 * 32768")],
)  # fmt: skip
def test_a_number_of_elements_fits_its_type(sizes, text):
    assert sizes_text(sizes) == text


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 60])
@pytest.mark.parametrize("threads", [1, 2])
def test_rows_that_are_kept_need_little_of_the_stack(n, threads):
    """However many there are: threads have less than the process, on some systems 512 KB."""

    def f(x):
        parts = [np.tanh(x * (i + 1)) for i in range(n)]
        total = parts[0]
        for part in parts[1:]:
            total = total * part + part
        return total.sum(-1)

    x = np.random.default_rng(0).normal(size=(4, 8001))
    compiled = tg.compile(f, backend="c", threads=threads)
    for _ in range(2):
        assert_same_bits([compiled(x)], [f(tg.Tensor(x))])
    rows = re.findall(r"^        double \w+\[(\d+)\];$", compiled.source, re.MULTILINE)
    assert 0 < 8 * sum(map(int, rows)) <= 2**18


def results(x, y):
    """A result, an argument, a view, a constant, a number, and each of them again."""
    double = x * 2.0
    total, labels = double.sum(), y + 1
    found = [double, x, double.reshape(-1), tg.Tensor(np.arange(3.0)), total, labels, y]
    return [*found, *found[::-1], total.reshape(1), double.T]


def test_a_result_can_be_whatever_there_is_and_be_returned_twice():
    x, y = np.linspace(-1, 1, 6).reshape(2, 3), np.arange(3)
    compiled = tg.compile(results, backend="c")
    for _ in range(4):
        assert_same_bits(compiled(x, y), results(tg.Tensor(x), tg.Tensor(y)))
    assert "PyMODINIT_FUNC" in compiled.source


@pytest.mark.slow
def test_no_call_leaves_anything_behind_that_fails_or_not():
    step, (X, y) = recorded(verify=0)
    several = tg.compile(results, backend="c", verify=0)
    loss = tg.compile(F.cross_entropy, backend="c", verify=0)

    def calls():
        for _ in range(200):
            step(X, y)
            several(X[:2, :3].astype(np.float64), y[:3])
            loss(X, y)
            for f in (step, loss):
                with pytest.raises(IndexError):
                    f(X, y + 9)

    calls()
    counts = [sys.getrefcount(x) for x in (X, y)]
    tracemalloc.start()
    try:
        held = []
        for _ in range(5):
            calls()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert min(b - a for a, b in pairwise(held)) < 200 * 32  # the smallest object, a call
    assert counts == [sys.getrefcount(x) for x in (X, y)]
