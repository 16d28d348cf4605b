"""docs/numpy.md has every name of NumPy's, and says of each what the package does."""

import importlib.util

import numpy as np
import pytest
from doc_pages import DOCS, read

import tinygrad_ce as tg
from tinygrad_ce.engine import numpy_functions as table

SPEC = importlib.util.spec_from_file_location("numpy_table", DOCS / "numpy_table.py")
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)
NAMES = script.sort_names()


def test_the_table_knows_every_name_that_numpy_has():
    assert NAMES["Unknown"] == {}


def test_the_page_is_what_the_script_writes():
    if f"NumPy {script.SERIES}." not in read(script.PAGE):
        pytest.skip("another NumPy has other names")
    assert read(script.PAGE) == script.written(), "run python docs/numpy_table.py"


def test_no_name_is_in_two_parts_of_the_table():
    parts = [table.DIFFERENTIABLE, table.CONSTANT, table.REFUSED, table.WITHOUT_TENSORS]
    functions = [key for part in parts for key in set(script.by_function(part))]
    assert len(functions) == len(set(functions))


def test_a_name_that_the_table_does_not_know_would_be_found(monkeypatch):
    monkeypatch.setattr(np, "brand_new", lambda x: x, raising=False)
    assert script.sort_names()["Unknown"] == {"brand_new": ""}


@pytest.mark.parametrize("name", NAMES["Refused"])
def test_what_is_refused_says_why_and_what_to_do(name):
    function = table.of_numpy(name)
    t = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    attempts = [(t,), (t, t), (t, t, t), (lambda x: x, 0, t), (2, lambda x, k: x), ("x.npy", t)]
    attempts += [(t, [t], [t]), (t, [0, 1]), (t, 0, 1), (t, np.array([[0]]), 1.0, 0)]
    for arguments in attempts:
        try:
            function(*arguments)
        except (TypeError, ValueError, AttributeError) as error:
            if f"so that no gradient is silently lost: {NAMES['Refused'][name]}" in str(error):
                return
    assert name in WITHOUT_PROTOCOL, f"np.{name} was not refused"


# NumPy converts what these are given, which a Tensor with a gradient refuses by itself.
WITHOUT_PROTOCOL = {
    "asarray_chkfinite", "datetime_data", "mask_indices", "save", "savetxt", "savez",
    "savez_compressed",
}  # fmt: skip


def test_similar_spelling_gives_no_hint():
    with pytest.raises(TypeError, match=r"^np\.correlate does not work on Tensors.*: windows"):
        np.correlate(tg.Tensor([1.0, 2.0]), [1.0])
    with pytest.raises(TypeError, match="the result is complex"):
        np.fft.fft(tg.Tensor([1.0, 2.0]))
