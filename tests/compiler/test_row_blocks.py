"""Row blocks: loops in compiled steps, with the bits of the eager ones."""

import runpy
import tracemalloc

import numpy as np
import pytest
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.compiler import memory, row_blocks


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Loops for arrays of any size, and buffers too."""
    monkeypatch.setattr(row_blocks, "LARGE", 0)
    monkeypatch.setattr(row_blocks, "BLOCK", 300)
    monkeypatch.setattr(memory, "LARGE", 0)


def data(n, classes, dtype=np.float32):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, classes)).astype(dtype), rng.integers(0, classes, n)


def with_gradient(fast=False, **options):
    """Cross-entropy and its gradient by the logits, eagerly and compiled."""

    def both(logits, y):
        def loss(z):
            return F.cross_entropy(z, y, **options).sum()

        return tg.value_and_grad(loss)(logits)

    return both, tg.compile(both, fast=fast)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"reduction": "sum"}, {"reduction": "none"}, {"ignore_index": 1},
        {"ignore_index": -100}, {"label_smoothing": 0.1}, {"weight": np.linspace(0, 2, 11)},
        {"weight": np.linspace(0, 2, 11), "ignore_index": 2, "label_smoothing": 0.1},
    ],
)  # fmt: skip
@pytest.mark.parametrize("n", [12, 13])
@pytest.mark.filterwarnings("ignore")  # of nan and infinities
def test_cross_entropy_in_blocks_has_the_bits_of_the_eager_one(n, options, dtype):
    if "weight" in options:
        options = options | {"weight": options["weight"].astype(dtype)}
    logits, y = data(n, 11, dtype)
    logits[3], logits[5], logits[7, 2] = -np.inf, np.nan, -np.inf
    eager, compiled = with_gradient(**options)
    for z in (logits, logits[::-1].copy()):
        assert_same_bits(compiled(z, y), eager(tg.Tensor(z), tg.Tensor(y)))
    assert "for start in range(" in compiled.source
    assert max(map(len, compiled.source.splitlines())) < 100


def test_distributions_too():
    logits, _ = data(13, 11)
    eager, compiled = with_gradient()
    assert_same_bits(compiled(logits, np.abs(logits)), eager(logits, np.abs(logits)))
    assert "for start in range(" in compiled.source


def test_the_loop_reads_as_one_would_write_it():
    compiled = with_gradient()[1]
    compiled(*data(12, 25))
    lines = [line.strip() for line in compiled.source.splitlines()]
    assert "for start in range(0, 12, 3):" in lines
    assert "rows = slice(start, start + 3)" in lines
    assert "counts = np.exp(shifted, out=dlogits[rows])" in lines


def test_below_the_threshold_nothing_changes(monkeypatch):
    monkeypatch.setattr(row_blocks, "LARGE", 12 * 25 * 4 + 1)
    compiled = with_gradient()[1]
    compiled(*data(12, 25, np.float32))
    assert " for " not in compiled.source.split("def check_labels")[0]


def test_what_was_returned_stays_as_it_is():
    logits, y = data(13, 11)
    compiled = with_gradient()[1]
    _, gradient = compiled(logits, y)
    before = gradient.data.copy()
    compiled(2 * logits, y)
    np.testing.assert_array_equal(gradient.data, before)


def test_a_label_is_refused_before_the_loop():
    logits, y = data(13, 11)
    compiled = with_gradient()[1]
    compiled(logits, y)
    with pytest.raises(IndexError, match="target 11 at row 12 is out of range for 11 classes"):
        compiled(logits, np.append(y[:-1], 11))


def test_an_axis_order_that_others_depend_on_is_kept():
    def f(x):
        y = x.T.reshape(5, 5)
        return y, np.exp(y), (np.exp(y) + y).sum(-1), y.mean()

    x = data(5, 5, np.float16)[0]
    assert_same_bits(tg.compile(f)(x), f(tg.Tensor(x)))


def test_no_second_array_of_the_size_of_the_logits_is_needed(monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK", 2**14)
    logits, y = data(512, 1000)
    compiled = tg.compile(with_gradient()[0], verify=0)
    compiled(logits, y)
    tracemalloc.start()
    compiled(logits, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * logits.nbytes


@pytest.mark.parametrize(("n", "classes"), [(12, 25), (13, 13)])
def test_sums_by_blas_are_in_the_loop_too(n, classes):
    logits, y = data(n, classes)
    eager, compiled = with_gradient(fast=True)
    for a, b in zip(compiled(logits, y), eager(tg.Tensor(logits), y), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-6, atol=1e-9)
    assert "    for start in range(" in compiled.source
    in_loop = "        counts_sum = np.matmul(counts, ones, out=" in compiled.source
    assert in_loop is (n != classes)  # the ones would be taken for rows


# ── Memory of earlier results ─────────────────────────────────────────────────────────────────────


def holders(result):
    """Ways to hold the memory of a result without holding its Tensor."""
    array = result.data
    return [array, array[1:], array.T.reshape(-1, 3, 4)[..., 0], memoryview(array), result.detach()]


@pytest.mark.parametrize("how", range(5))
def test_a_result_keeps_its_values_as_long_as_anyone_holds_its_memory(monkeypatch, how):
    monkeypatch.setattr(memory, "CLEARED", 0)
    f = tg.compile(lambda x: np.exp(x) + 1)
    x = np.random.default_rng(0).normal(size=(12, 5))
    f(x)
    result = f(x)
    held = holders(result)[how]
    del result
    before = np.array(held)
    for i in range(4):
        np.testing.assert_array_equal(f(x * i).data, np.exp(x * i) + 1)
    np.testing.assert_array_equal(np.array(held), before)


def test_the_memory_of_a_result_that_nobody_holds_is_used_again(monkeypatch):
    monkeypatch.setattr(memory, "CLEARED", 0)
    f = tg.compile(lambda x: np.exp(x) + 1)
    x = np.random.default_rng(0).normal(size=(12, 5))
    f(x)
    assert len({f(x).data.ctypes.data for _ in range(9)}) == 1
    assert "np.exp(x, out=recycled(spare_1))" in f.source


def test_parameters_and_gradients_go_to_and_fro_between_two_arrays(monkeypatch):
    def steps(wrap):
        w = tg.Tensor(np.linspace(-1, 1, 60).reshape(12, 5), requires_grad=True)
        optimizer = tg.optim.SGD([w], lr=0.1, momentum=0.5)

        def step(x):
            optimizer.zero_grad()
            loss = ((w * x).exp() ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        step, held, places = wrap(step), [], set()
        for i in range(12):
            loss = step(data(12, 5)[0].astype(float) * i)
            held += [(loss, loss.data.copy())]
            if i % 4 == 0:
                held += [(t, np.array(t)) for t in (w.data, w.grad)]
            if 4 < i < 8:
                places.add(w.data.ctypes.data)
        assert_same_bits([t for t, _ in held], [t for _, t in held])
        return [w.data, w.grad], places

    expected, _ = steps(lambda step: step)
    monkeypatch.setattr(memory, "CLEARED", 0)
    got, places = steps(tg.compile)
    assert_same_bits(got, expected)
    assert len(places) == 2


def test_a_saved_module_uses_memory_again_too(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CLEARED", 0)
    f = tg.compile(lambda x: np.exp(x) + 1)
    x = np.random.default_rng(0).normal(size=(12, 5))
    f(x)
    f.save(tmp_path / "saved.py")
    step = runpy.run_path(str(tmp_path / "saved.py"))["step"]
    (held,) = step(x)
    (other,) = step(2 * x)
    place = other.ctypes.data
    del other
    (again,) = step(3 * x)
    assert again.ctypes.data == place
    np.testing.assert_array_equal(held, np.exp(x) + 1)


def test_a_block_of_what_is_kept_as_another_shape_is_no_result(monkeypatch):
    monkeypatch.setattr(memory, "CLEARED", 0)

    def f(x):
        return F.logsumexp(2 * x, axis=-1), F.softmax(2 * x)

    compiled = tg.compile(f)
    for i in range(1, 4):
        x = data(13, 11)[0] * i
        assert_same_bits(compiled(x), f(tg.Tensor(x)))


@pytest.mark.parametrize(
    ("f", "dtype"),
    [
        (lambda x: (x * 2).mean(-1, keepdims=True) + x * 2, np.float16),
        (lambda x: (x + 1).sum(-1, keepdims=True) + (x + 1), np.int8),
        (lambda x: np.exp(np.logaddexp(x.T, x.T * 2).T), np.float64),
        (lambda x: np.exp(np.logaddexp(x.T, x)) + 1, np.float64),
    ],
)
def test_what_numpy_may_round_in_another_way_for_some_rows_is_left_whole(f, dtype):
    x = data(12, 12)[0].astype(dtype)
    compiled = tg.compile(f)
    assert_same_bits(compiled(x), f(tg.Tensor(x)))
    whole = next(
        line for line in compiled.source.splitlines() if "reduce(" in line or "adde" in line
    )
    assert not whole.startswith("        ")


def test_no_number_is_drawn_before_a_loop_that_a_check_waits_for():
    def made(rng):
        def f(x, shift):
            logits = np.exp(x * 2)
            loss = F.cross_entropy(logits, logits.argmax(-1) + shift)
            return loss, tg.sample(rng.uniform, size=3)

        return f

    x, shift = data(13, 11)[0], np.zeros(13, int)
    eager_rng, rng = np.random.default_rng(0), np.random.default_rng(0)
    eager, step = made(eager_rng), tg.compile(made(rng))
    assert_same_bits(step(x, shift), eager(tg.Tensor(x), tg.Tensor(shift)))
    assert "for start in range(" in step.source
    with pytest.raises(IndexError):
        step(x, shift + 11)
    assert_same_bits(step(x, shift), eager(tg.Tensor(x), tg.Tensor(shift)))


def test_labels_are_refused_by_their_check_and_not_by_a_loop_before_it():
    def f(x, y):
        best = np.exp(x * 2).argmax(-1)
        return F.cross_entropy(x * 2, best) + F.cross_entropy(x * 3, y)

    x, y = data(13, 11)
    step = tg.compile(f)
    assert_same_bits(step(x, y), f(tg.Tensor(x), y))
    assert "for start in range(" in step.source
    with pytest.raises(IndexError, match="target 11 at row 12 is out of range for 11 classes"):
        step(x, np.append(y[:-1], 11))


def test_what_later_blocks_read_in_another_view_is_not_written_over():
    def f(x):
        a = x @ x
        turned = a.T + x  # in the order of x, and so done by rows
        return np.exp(a * turned) * 2

    x = data(13, 13)[0].astype(float) / 9
    step = tg.compile(f)
    assert_same_bits(step(x), f(tg.Tensor(x)))
    assert "for start in range(" in step.source


def test_what_every_block_reads_keeps_its_buffer(monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK", 25 * 8)  # one row, as large as what every block reads

    def f(x, b):
        row = np.exp(b * 2)
        moved = np.exp(x + row)
        return (np.sin(moved * 3) * np.cos(moved)).sum(-1)

    x, b = data(7, 25)[0].astype(float), data(1, 25)[0].astype(float)
    step = tg.compile(f)
    assert_same_bits(step(x, b), f(tg.Tensor(x), tg.Tensor(b)))
    assert "for start in range(0, 7, 1):" in step.source


def test_an_array_is_given_again_once_nobody_holds_it():
    arrays = [np.zeros(3)]
    one = memory.recycled(arrays)
    other = memory.recycled(arrays)
    assert not np.shares_memory(one, other)
    one.setflags(write=False)
    place = one.ctypes.data
    view, one = one[1:], None
    assert memory.recycled(arrays).ctypes.data != place
    arrays[:] = [view.base, other]
    view = None
    again = memory.recycled(arrays)
    assert again.ctypes.data == place
    assert again.flags.writeable
