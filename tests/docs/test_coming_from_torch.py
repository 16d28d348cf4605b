"""The page for those who come from PyTorch: each row runs, and no name of PyTorch is left out."""

import importlib.util
import inspect
import re
import types
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from doc_pages import DOCS, read

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce import other_names as table

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        import torch.nn.functional
        import torch.nn.utils
except ImportError:
    torch = None

SPEC = importlib.util.spec_from_file_location("torch_table", DOCS / "torch_table.py")
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)

PAGE = read(DOCS / "coming_from.md").split("### The same names")[1].split("What behaves")[0]
SAME = re.findall(r"^\| `(.*?)` \| ((?:`\w+`(?:, )?)+) \|$", PAGE.split("###")[0], re.MULTILINE)
OURS = {
    "Tensor": tg.Tensor([[1.0]], requires_grad=True), "nn": nn, "nn.Module": nn.Module,
    "nn.init": nn.init, "F": F, "optim": optim, "optim.Optimizer": optim.Optimizer,
    "optim.lr_scheduler": optim.lr_scheduler,
}  # fmt: skip
NAMES = [(place, name) for place, names in SAME for name in re.findall(r"\w+", names)]
LINES = [
    line
    for rows in (
        table.TENSOR, table.TORCH, table.FUNCTIONAL, table.LAYERS, table.INITIALIZATIONS,
        table.TRAINING,
    )
    for line in rows.items()
]  # fmt: skip


def test_the_page_is_what_the_script_writes():
    page = read(script.PAGE)
    assert page == script.written(page), "run python docs/torch_table.py"
    assert sorted(script.TABLES) == sorted(name for _, name, _ in script.TABLE.findall(page))


@pytest.mark.parametrize(("place", "name"), NAMES)
def test_what_has_the_same_name_is_there(place, name):
    assert hasattr(OURS[place], name)


@pytest.mark.torch
@pytest.mark.parametrize(("place", "name"), NAMES)
def test_it_is_pytorchs_name(place, name):
    some = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    theirs = {"F": torch.nn.functional, "optim.Optimizer": some, "Tensor": torch.Tensor}.get(place)
    theirs = theirs or eval(f"torch.{place}", {"torch": torch})
    assert hasattr(theirs, name) or (place, name) == ("nn.Module", "training")


def arrays():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 3))
    return {
        "x": rng.normal(size=(3, 4)) * 2, "t": rng.normal(size=(3, 4)),
        "m": rng.normal(size=(5, 4)), "c": rng.normal(size=(3, 3, 4)),
        "v": rng.uniform(0.5, 2, (3, 4)), "s": rng.choice([-1.0, 1.0], (3, 4)),
        "o": rng.uniform(0.1, 0.9, (3, 4)), "a": root @ root.T + np.eye(3),
        "w": np.float64(0.25) * np.ones(1), "q": rng.normal(size=(3, 3)),
        "u": rng.normal(size=3), "r": rng.normal(size=4), "y": np.array([2, 0, 1]),
        "k": rng.integers(0, 3, (3, 4)), "b": rng.random((3, 4)) > 0.5,
    }  # fmt: skip


def assert_same(got, expected):
    """Check numbers in Tensors, arrays, and tuples or lists of them."""
    if isinstance(expected, tuple | list) and not isinstance(expected, torch.Size):
        for part, other in zip(got, expected, strict=True):
            assert_same(part, other)
        return
    assert (got is None) == (expected is None)
    if got is not None:
        got = got.data if isinstance(got, tg.Tensor) else np.asarray(got)
        expected = expected.detach() if hasattr(expected, "detach") else expected
        expected = np.asarray(expected)
        assert got.shape == expected.shape
        assert got.dtype.kind == expected.dtype.kind or {*got.dtype.kind, *"if"} == {*"if"}
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)


def both_sides(theirs, ours):
    """What the code of PyTorch and ours compute of the same arrays."""
    given = arrays()
    mine = {k: tg.Tensor(a) for k, a in given.items()} | {"n": np.array([-1.0, 0.0, 1.0])}
    yours = {k: torch.tensor(a) for k, a in given.items()} | {"n": np.array([-1.0, 0.0, 1.0])}
    if "bucketize" in theirs:
        yours["n"] = torch.tensor(yours["n"])
    p, q = tg.Tensor(given["t"], requires_grad=True), torch.tensor(given["t"], requires_grad=True)
    p.grad, q.grad = given["x"], torch.tensor(given["x"])
    names = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "optim": torch.optim, "p": q}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that PyTorch is about to remove
        expected = eval(theirs, {**yours, **names})
    ours_named = {"tg": tg, "nn": nn, "F": F, "optim": optim, "np": np, "p": p}
    got = eval(ours, {**mine, **ours_named, "rng": np.random.default_rng(0)})
    return got, expected, p, q


@pytest.mark.torch
@pytest.mark.parametrize(("theirs", "ours"), LINES)
def test_both_sides_of_a_line_compute_the_same(theirs, ours):
    got, expected, p, q = both_sides(theirs, ours)
    assert_same(got, expected)
    np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)


# How the names that both Tensors have are used, with the same result.
SAME_USE = """
x.T x.abs() b.any() b.all() x.argmax(1) x.argmin(1) x.argsort(1) r.broadcast_to((3,4))
x.clip(-1,1) x.conj() x.cos() x.cumprod(1) x.cumsum(1) x.data x.detach() q.diagonal() r.dot(r)
x.erf() x.exp() x.expm1() x.flatten() x.grad x[0,0].item() x.itemsize v.log() v.log1p() x.mT
x.max() x.mean(1) x.min() x.nbytes x.ndim x.numpy() x.prod(1) x.ravel() x.real x.relu()
x.requires_grad x.reshape(2,6) x.round() x.shape x.sigmoid() x.sin() v.sqrt() x[:,:1].squeeze(1)
x.sum(1) x.swapaxes(0,1) x.take(y) x.tanh() x.tolist() q.trace() p.backward(x) p.retain_grad()
"""
BOTH_USED = {re.search(r"\.([a-zA-Z]\w*)", use)[1] for use in SAME_USE.split()}
# Which count otherwise, or are not NumPy's dtypes, as the page says.
OTHERWISE = {"var", "std", "dtype"}


@pytest.mark.torch
@pytest.mark.parametrize("use", SAME_USE.split())
def test_what_tensors_have_in_common_computes_the_same(use):
    got, expected, p, q = both_sides(use, use)
    assert_same(got, expected)
    np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)


def test_each_name_in_common_is_used():
    assert {name for place, name in NAMES if place == "Tensor"} == BOTH_USED | OTHERWISE


def public_names():
    """The names of PyTorch's that the page has to say something about."""
    F, init = torch.nn.functional, torch.nn.init
    yield from (n for n in dir(torch.nn) if inspect.isclass(getattr(torch.nn, n)))
    yield from (n for n in dir(F) if isinstance(
        getattr(F, n), types.FunctionType | types.BuiltinFunctionType) and n[0] != "_")  # fmt: skip
    yield from torch.optim.__all__
    yield from torch.optim.lr_scheduler.__all__
    yield from (n for n in dir(torch.nn.Module) if n[0] != "_")
    yield from (n for n in dir(torch.optim.Optimizer) if n[0] != "_")
    yield from (n for n in dir(init) if n.endswith("_") and n[0] != "_")


# Parts of PyTorch's own machinery that its documentation does not list.
MACHINERY = {
    "assert_int_or_pair", "boolean_dispatch", "handle_torch_function", "has_torch_function",
    "has_torch_function_unary", "has_torch_function_variadic", "Container",
    "LinearCrossEntropyOptions", "native_channel_shuffle", "register_forward_pre_hook",
}  # fmt: skip
IN_PLACE = {"celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_", "threshold_"}
OTHER_INITIALIZATIONS = {"dirac_", "sparse_", "trunc_normal_"}


@pytest.mark.torch
def test_every_name_of_pytorch_is_there_or_has_another_name_or_is_out_of_scope():
    said = set(re.findall(r"\w+", " ".join(re.findall(r"`(.*?)`", PAGE))))
    known = said | MACHINERY | IN_PLACE | OTHER_INITIALIZATIONS
    left = {n for n in public_names() if n not in known}
    out = re.compile("|".join(table.OUT_OF_SCOPE.values()), re.IGNORECASE)
    assert sorted(n for n in left if not out.search(n)) == []


@pytest.mark.parametrize("group", table.OUT_OF_SCOPE)
def test_the_page_says_what_is_out_of_scope(group):
    assert group in " ".join(PAGE.split())


P = nn.Linear(1, 1).parameters()

# ── Tensors, name by name ─────────────────────────────────────────────────────────────────────────

# The name of a dimension, and the place in a list of those that are recorded.
OF_PYTORCH_ALONE = {"name", "index", "imag"}


@pytest.mark.torch
def test_every_name_of_a_tensor_is_there_or_says_what_to_use():
    t = tg.Tensor([[1.0]], requires_grad=True)
    in_common = {name for place, name in NAMES if place == "Tensor"}
    lines = table.remedies_of(table.TENSOR)
    for name in dir(torch.Tensor):
        if name[0] == "_" or name in OF_PYTORCH_ALONE:
            continue
        if name in in_common:
            getattr(t, name)
        elif hasattr(t, name):
            assert name in lines, f"{name} is there, and the page does not say what it is"
        else:
            with pytest.raises(AttributeError, match=f"a Tensor has no {name}: .{{15}}"):
                getattr(t, name)


@pytest.mark.torch
def test_every_function_of_torch_that_a_tensor_has_as_a_method_is_there_or_says_what_to_use():
    for name in dir(torch):
        of_both = name[0] != "_" and hasattr(torch.Tensor, name)
        if of_both and not hasattr(tg, name) and name not in ("dtype", "imag"):
            with pytest.raises(AttributeError, match=f"no attribute '{name}': .{{8}}"):
                getattr(tg, name)


@pytest.mark.torch
def test_nothing_is_said_of_names_that_nobody_has():
    theirs = {*dir(torch.Tensor), *dir(np.ndarray)}
    assert sorted(table.OF_TENSORS.keys() - theirs) == []


@pytest.mark.parametrize(("theirs", "ours"), table.TENSOR.items())
def test_the_error_of_a_name_has_the_line_of_the_page(theirs, ours):
    name = re.search(r"\.([a-zA-Z]\w*)", theirs)[1]
    if not hasattr(tg.Tensor, name) and name not in table.ARRAY_REMEDIES:
        with pytest.raises(AttributeError) as raised:
            getattr(tg.Tensor(1.0), name)
        assert f"{table.remedies_of(table.TENSOR)[name]}" in str(raised.value)
        assert name not in dir(tg.Tensor(1.0))


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda: tg.Tensor([1.0]).view(1), r"view: for x\.view\(2, 6\) use x\.reshape\(2, 6\)"),
        (lambda: tg.Tensor([1.0]).cuda(0), "memory of the CPU"),
        (lambda: tg.Tensor([1.0]).data.zero_(0), r"p\.grad = None clears a gradient"),
        (lambda: tg.cat([tg.Tensor([1.0])]), r"use np\.concatenate"),
        (lambda: tg.unsqueeze(tg.Tensor([1.0]), 0), r"expand_dims"),
        (lambda: tg.manual_seed(0), "no global seed"),
        (lambda: tg.float32, "dtype of NumPy"),
        (lambda: nn.Conv2d(1, 1, 3), "convolutions and pooling are out of scope"),
        (lambda: nn.ReLU6(0), r"forward\(\) has the line: for F\.relu6\(x\) use x\.clip\(0, 6\)"),
        (lambda: nn.Parameter, "requires_grad=True"),
        (lambda: nn.init.zeros_(1.0), r"nn\.init\.constant_\(x, 0\)"),
        (lambda: F.smooth_l1_loss(1.0, 1.0), r"F\.huber_loss"),
        (lambda: optim.LBFGS([]), "further optimizers are out of scope"),
        (lambda: optim.lr_scheduler.LambdaLR(None, None), "subclass of LRScheduler"),
        (lambda: nn.Linear(1, 1).to("cpu"), "memory of the CPU"),
        (lambda: nn.Linear(1, 1).register_buffer("a", 1), r"self\.mean = tg\.Tensor"),
        (lambda: optim.SGD(P, 1.0).add_param_group({}), "ParameterGroups"),
        (lambda: optim.lr_scheduler.StepLR(optim.SGD(P, 1.0), 2).get_lr(), "optimizer.lr"),
        (lambda: nn.Lineer(1, 1), "has no attribute 'Lineer'$"),
    ],
)  # fmt: skip
def test_other_places_answer_too(use, says):
    with pytest.raises(AttributeError, match=says):
        use()


@pytest.mark.parametrize(
    ("module", "theirs", "ours"),
    [
        (module, theirs.removeprefix("nn.") if module is nn.init else theirs, ours)
        for module, rows in (
            (tg, table.TORCH),
            (F, table.FUNCTIONAL),
            (nn, table.LAYERS),
            (nn.init, table.INITIALIZATIONS),
        )
        for theirs, ours in rows.items()
    ],
)
def test_the_error_of_a_function_or_class_has_the_line_of_the_page(module, theirs, ours):
    name = re.search(r"\.([a-zA-Z]\w*)", theirs)[1]
    with pytest.raises(AttributeError) as raised:
        getattr(module, name)
    assert f"use {ours}" in str(raised.value)


def test_size_is_a_number_that_says_what_to_write_where_it_is_called():
    t = tg.Tensor(np.ones((3, 4), np.float32))
    assert (t.size, t.size + 1, np.zeros(t.size).shape) == (12, 13, (12,))
    assert (t / t.size).dtype == np.float32
    for axis in ((), (0,)):
        with pytest.raises(TypeError, match=r"shape\[0\] for size\(0\)"):
            t.size(*axis)
    step = tg.compile(lambda x: (x / x.size, x.size))
    assert step(t)[1] == step(t)[1] == 12
    assert step(t)[0].dtype == np.float32


# ── Keywords ──────────────────────────────────────────────────────────────────────────────────────

X = tg.Tensor(np.ones((3, 4)), requires_grad=True)
METHODS = """
sum mean max min var std argmax argmin cumsum squeeze prod cumprod any all argsort take repeat
"""
FUNCTIONS = """
sum prod mean var std max min cumsum cumprod nansum nanmean median quantile any all count_nonzero
sort argsort split take_along_axis repeat diff norm cross unique concatenate stack
"""
KEYWORDS = {
    "dim": [
        *(lambda name=name: getattr(X, name)(dim=1) for name in METHODS.split()),
        *(lambda name=name: getattr(tg, name)(X, dim=1) for name in FUNCTIONS.split()),
        lambda: F.softmax(X, dim=1), lambda: F.log_softmax(X, dim=1), lambda: F.logsumexp(X, dim=1),
        lambda: nn.Softmax(dim=1), lambda: nn.LogSoftmax(dim=1),
    ],
    "dims": [lambda: tg.flip(X, dims=(0,)), lambda: tg.tensordot(X, X, dims=2)],
    "keepdim": [lambda: X.sum(1, keepdim=True), lambda: F.logsumexp(X, keepdim=True)],
    "unbiased": [lambda: X.var(unbiased=False), lambda: tg.std(X, unbiased=True)],
    "correction": [lambda: X.std(correction=0)],
    "num_classes": [lambda: F.one_hot([0, 1], num_classes=3)],
    "in_features": [lambda: nn.Linear(in_features=3, out_features=4)],
    "out_features": [lambda: nn.Linear(3, out_features=4)],
    "num_features": [lambda: nn.BatchNorm1d(num_features=3)],
    "num_embeddings": [lambda: nn.Embedding(num_embeddings=3, embedding_dim=4)],
    "embedding_dim": [lambda: nn.Embedding(3, embedding_dim=4)],
    "normalized_shape": [lambda: nn.LayerNorm(normalized_shape=3)],
    "generator": [lambda: nn.Dropout(0.5, generator=None)],
    "shifts": [lambda: tg.roll(X, shifts=1)],
    "diagonal": [lambda: tg.tril(X, diagonal=1)],
    "descending": [lambda: tg.sort(X, descending=True)],
    "input": [lambda: F.cross_entropy(input=X, target=[0, 1, 2])],
    "other": [lambda: tg.cross(X, other=X)],
    "size_average": [lambda: F.mse_loss(X, X, size_average=False)],
    "reduce": [lambda: nn.CrossEntropyLoss(reduce=False)],
    "inplace": [lambda: F.relu(X, inplace=True), lambda: nn.ReLU(inplace=True)],
    "out": [lambda: tg.concatenate([X, X], out=X)],
    "device": [lambda: nn.Linear(3, 4, device="cpu")],
    "pin_memory": [lambda: nn.Linear(3, 4, pin_memory=True)],
    "non_blocking": [lambda: nn.Linear(3, 4, non_blocking=True)],
    "memory_format": [lambda: nn.Linear(3, 4, memory_format=None)],
    "layout": [lambda: nn.Linear(3, 4, layout=None)],
    "foreach": [lambda: optim.SGD(P, 0.1, foreach=True)],
    "fused": [lambda: optim.Adam(P, fused=True)],
    "capturable": [lambda: optim.Adam(P, capturable=True)],
    "differentiable": [lambda: optim.Adam(P, differentiable=True)],
    "maximize": [lambda: optim.SGD(P, 0.1, maximize=True)],
    "set_to_none": [lambda: nn.Linear(1, 1).zero_grad(set_to_none=True),
                    lambda: optim.SGD(P, 0.1).zero_grad(set_to_none=True)],
    "create_graph": [lambda: X.sum().backward(create_graph=True)],
    "elementwise_affine": [lambda: nn.LayerNorm(3, elementwise_affine=False)],
    "affine": [lambda: nn.BatchNorm1d(3, affine=False)],
    "track_running_stats": [lambda: nn.BatchNorm1d(3, track_running_stats=False)],
    "last_epoch": [lambda: optim.lr_scheduler.StepLR(optim.SGD(P, 0.1), 2, last_epoch=-1)],
    "verbose": [lambda: optim.lr_scheduler.ExponentialLR(optim.SGD(P, 0.1), 0.9, verbose=True)],
    "padding_idx": [lambda: nn.Embedding(3, 4, padding_idx=0)],
    "max_norm": [lambda: nn.Embedding(3, 4, max_norm=1.0)],
    "sparse": [lambda: nn.Embedding(3, 4, sparse=True)],
    "start_dim": [lambda: nn.Flatten(start_dim=1)],
    "end_dim": [lambda: nn.Flatten(end_dim=-1)],
}  # fmt: skip


@pytest.mark.parametrize("keyword", table.KEYWORDS)
def test_a_keyword_is_answered_by_what_to_write(keyword):
    for call in KEYWORDS[keyword]:
        with pytest.raises(TypeError) as raised:
            call()
        assert f"() got {keyword}=: {table.KEYWORDS[keyword]}" in str(raised.value)


def test_another_keyword_gets_the_words_of_python():
    for call in (lambda: X.sum(axes=1), lambda: tg.sum(X, axes=1), lambda: nn.Linear(1, 1, bais=1)):
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            call()
    with pytest.raises(TypeError, match=r"Tanh\(\) takes no arguments"):
        nn.Tanh(3)


def test_a_module_that_takes_any_keyword_may_take_these():
    class Own(nn.Module):
        def __init__(self, dim, **options):
            self.options = options

    assert Own(dim=1, device="cpu").options == {"device": "cpu"}


def test_signatures_are_those_of_constructors_that_may_be_made_later():
    @dataclass(eq=False)
    class Own(nn.Module):
        dim: int
        device: str = "cpu"

    assert list(inspect.signature(Own).parameters) == ["dim", "device"]
    assert Own(dim=1, device="none").dim == 1
    with pytest.raises(TypeError, match=r"Own\(\) got keepdim="):
        Own(dim=1, keepdim=True)
    of_classes = [nn.Module, nn.Tanh, nn.Linear, optim.SGD, optim.lr_scheduler.StepLR]
    first = [[*inspect.signature(c).parameters][:1] for c in of_classes]
    assert first == [[], [], ["n_in"], ["params"], ["optimizer"]]
    assert [*inspect.signature(nn.Tanh()).parameters] == ["args", "kwargs"]  # of its call
