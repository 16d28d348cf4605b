"""Who takes part: a module each, with one function for each kind of work that it can do.

Such a function takes the data of a piece of work, and returns the Job that does it. Each is written
as a competent user of that library would, and where it offers several ways, in the fastest.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

MODELS = ("training", "characters", "cross_entropy")
COMPILING = ("compiling", "compiling_chain")


class Competitor(NamedTuple):
    """One who takes part.

    Attributes
    ----------
    title
        What the table calls it.
    module
        Of this package.
    needs
        The library that must be installed.
    kinds
        Of work: the functions of its module.
    """

    title: str
    module: str
    needs: str
    kinds: tuple[str, ...]

    @property
    def installed(self) -> bool:
        """Whether its library is there."""
        return find_spec(self.needs) is not None


COMPETITORS = {
    "by-hand": Competitor(
        "by hand", "by_hand", "numpy", (*MODELS, "chain", "compiled_chain", "fit")
    ),
    "by-hand-out": Competitor("by hand, out=", "by_hand_out", "numpy", MODELS),
    "eager": Competitor("tinygrad_ce", "eager", "tinygrad_ce", (*MODELS, "chain", "fit")),
    "compiled": Competitor(
        "tinygrad_ce compiled",
        "compiled",
        "tinygrad_ce",
        (*MODELS, "compiled_chain", *COMPILING, "compiling_long_chain", "fit"),
    ),
    "compiled-fast": Competitor(
        "compiled, fast=True", "compiled_fast", "tinygrad_ce", (*MODELS, "fit")
    ),
    "compiled-c": Competitor("C", "compiled_c", "tinygrad_ce", (*MODELS, "fit")),
    "compiled-c-fast": Competitor(
        "C, fast=True", "compiled_c_fast", "tinygrad_ce", (*MODELS, "fit")
    ),
    "pytorch": Competitor("PyTorch", "pytorch", "torch", (*MODELS, "chain", "fit")),
    "torch.compile": Competitor("torch.compile", "torch_compile", "torch", (*MODELS, "compiling")),
    "jax": Competitor("jax.jit", "jax_jit", "jax", (*MODELS, "compiled_chain", *COMPILING)),
    "autograd": Competitor("autograd", "autograd", "autograd", (*MODELS, "chain")),
    "mygrad": Competitor("MyGrad", "mygrad", "mygrad", (*MODELS, "chain")),
    "micrograd": Competitor("micrograd", "micrograd", "micrograd", ("chain",)),
    "scikit-learn": Competitor("scikit-learn", "scikit_learn", "sklearn", ("fit",)),
}
"""Those who can take part by name; in a table, the first is what the others are compared with."""
