"""Verification: comparisons, finite differences, closed forms, and 50 digits.

`compare` measures how far two arrays are apart; `gradcheck` needs no formula; `check_network` and
its kin go along the chain of gradients; `check_four_ways` uses four ways that share no code, one of
them decimal_reference.py, which knows nothing of the engine.
"""

from .chain_rule import GradientCheck, check_cross_entropy, check_network, check_random_logits
from .comparison import Comparison, Comparisons, Worst, compare, table
from .finite_differences import GradcheckError, gradcheck
from .four_ways import DerivativeCheck, check_four_ways

__all__ = ["compare", "table", "Comparison", "Comparisons", "Worst"]
__all__ += ["gradcheck", "GradcheckError", "check_four_ways", "DerivativeCheck"]
__all__ += ["check_cross_entropy", "check_network", "check_random_logits", "GradientCheck"]
