"""The page for those who come from PyTorch: each row runs, and no name of PyTorch is left out."""

import inspect
import re
import types
import warnings

import numpy as np
import pytest
from doc_pages import DOCS, read

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        import torch.nn.functional
        import torch.nn.utils
except ImportError:
    torch = None

PAGE = read(DOCS / "coming_from.md").split("### Layers, functions")[1].split("What behaves")[0]
ROWS = re.findall(r"^\| `(.*)` \| `(.*)` \|$", PAGE, re.MULTILINE)
SAME = re.findall(r"^\| `(.*?)` \| ((?:`\w+`(?:, )?)+) \|$", PAGE, re.MULTILINE)
OURS = {
    "nn": nn, "nn.Module": nn.Module, "nn.init": nn.init, "F": F, "optim": optim,
    "optim.Optimizer": optim.Optimizer, "optim.lr_scheduler": optim.lr_scheduler,
}  # fmt: skip
NAMES = [(place, name) for place, names in SAME for name in re.findall(r"\w+", names)]
LINES = [(theirs, ours) for theirs, ours in ROWS if theirs not in OURS]

# What the page says to be out of scope, and what belongs to it.
OUT_OF_SCOPE = {
    "convolutions and pooling": r"(Lazy)?conv|pool|(un)?fold$",
    "layers for\nimages and sequences": (
        r"pad\d|pixel|channel_?shuffle|upsam|interpolate|grid|embedding_?bag|ctc|2d$|3d$"
    ),
    "recurrent and transformer layers": r"RNN|LSTM|GRU|transformer|multi_?head_?attention",
    "normalization over channels": r"(group|instance|local_?response|crossmap|sync|lazybatch)",
    "other kinds of dropout": r"alpha_?dropout|dropout\d|rrelu|gumbel",
    "sparse and quantized layers": (
        r"sparse|adaptive|grouped_mm|scaled_mm|bilinear|linear_?cross|lazy"
    ),
    "losses of margins\nand of pairs": r"margin|triplet|hinge|cosine_?embedding|pdist|NLLLoss2d",
    "further optimizers": r"Ada|ASGD|LBFGS|Muon|NAdam|RAdam|Rprop|swa|swap_in",
    "hooks": r"hook|extra_state|call_super|dump_patches|T_destination|share_memory",
    "devices and\nprecision": (
        r"cuda|cpu|xpu|ipu|mtia|bfloat16|to_empty|parallel|uninitialized|compile"
    ),
}


@pytest.mark.parametrize(("place", "name"), NAMES)
def test_what_has_the_same_name_is_there(place, name):
    assert getattr(OURS[place], name) is not None


@pytest.mark.torch
@pytest.mark.parametrize(("place", "name"), NAMES)
def test_it_is_pytorchs_name(place, name):
    some = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    theirs = {"F": torch.nn.functional, "optim.Optimizer": some}.get(place) or eval(
        f"torch.{place}", {"torch": torch}
    )
    assert hasattr(theirs, name) or (place, name) == ("nn.Module", "training")


def arrays():
    rng = np.random.default_rng(0)
    return {
        "x": rng.normal(size=(3, 4)) * 2, "t": rng.normal(size=(3, 4)),
        "m": rng.normal(size=(5, 4)),
        "v": rng.uniform(0.5, 2, (3, 4)), "s": rng.choice([-1.0, 1.0], (3, 4)),
        "w": np.float64(0.25) * np.ones(1), "q": np.zeros((3, 3)), "y": np.array([2, 0, 1]),
    }  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize(("theirs", "ours"), LINES)
def test_both_sides_of_a_line_compute_the_same(theirs, ours):
    given = arrays()
    mine = {k: tg.Tensor(a) for k, a in given.items()}
    yours = {k: torch.tensor(a) for k, a in given.items()}
    p, q = tg.Tensor(given["t"], requires_grad=True), torch.tensor(given["t"], requires_grad=True)
    p.grad, q.grad = given["x"], torch.tensor(given["x"])
    names = {"nn": torch.nn, "F": torch.nn.functional, "optim": torch.optim, "p": q}
    expected = eval(theirs, {**yours, **names})
    got = eval(ours, {"tg": tg, "nn": nn, "F": F, "optim": optim, "np": np, "p": p, **mine})
    assert (got is None) == (expected is None)
    if got is not None:
        got = got.data if isinstance(got, tg.Tensor) else got
        expected = expected.detach().numpy() if hasattr(expected, "detach") else expected
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-12)


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
    out = re.compile("|".join(OUT_OF_SCOPE.values()), re.IGNORECASE)
    assert sorted(n for n in left if not out.search(n)) == []


@pytest.mark.parametrize("group", OUT_OF_SCOPE)
def test_the_page_says_what_is_out_of_scope(group):
    assert group in PAGE
