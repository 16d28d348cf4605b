"""What help() and inspect say of Tensor."""

import ast
import inspect
import pydoc
from textwrap import dedent

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import Tensor

METHODS = {
    name: member
    for name, member in vars(Tensor).items()
    if callable(member) and (name[0] != "_" or name[:2] == "__")
}
# What is given one by one or as a tuple, as in NumPy, and what NumPy calls.
ANY_NUMBER = {"reshape", "transpose", "broadcast_to", "__array_ufunc__"}
DOC = inspect.getdoc(Tensor)
THINGS = dedent(DOC[DOC.index("::") + 2 : DOC.index("Parameters")]).strip()


def test_help_begins_with_the_twenty_things_that_one_needs():
    assert len(ast.parse(THINGS).body) == 20
    shown = pydoc.render_doc(Tensor, renderer=pydoc.plaintext).splitlines()[:30]
    assert all(any(line in there for there in shown) for line in THINGS.splitlines())


def test_the_twenty_things_run_one_after_another():
    variables = {"np": np, "tg": tg}
    exec(THINGS, variables)
    np.testing.assert_allclose(variables["x"].data, [[0.8, 1.6], [2.4, 3.2]])


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_a_docstring_and_a_signature(name):
    method = METHODS[name]
    assert (method.__doc__ or "").strip()
    assert METHODS[method.__name__] is method  # conj is conjugate
    parameters = [*inspect.signature(method).parameters.values()]
    kinds = {parameter.kind for parameter in parameters}
    assert parameters
    assert inspect.Parameter.VAR_POSITIONAL not in kinds or name in ANY_NUMBER
    assert "Return what `np" not in method.__doc__ or parameters[0].name in {"a", "self", "x"}


@pytest.mark.parametrize("name", ["prod", "any", "ravel", "dot", "argsort"])
def test_the_methods_of_other_modules_have_their_signature_when_bound_too(name):
    x = tg.Tensor([1.0, 2.0])
    free, bound = (inspect.signature(getattr(owner, name)) for owner in (Tensor, x))
    assert [*bound.parameters] == [*free.parameters][1:]


def test_properties_have_docstrings():
    for name, member in vars(Tensor).items():
        if isinstance(member, property):
            assert member.__doc__, name
