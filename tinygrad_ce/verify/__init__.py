"""Verification: comparisons, finite differences, closed forms, and 50 digits.

* comparison.py measures how far two arrays are apart: `compare`;
* finite_differences.py checks any function's derivatives without a formula: `gradcheck`;
* chain_rule.py checks each gradient between a cross-entropy and the weights of a network;
* four_ways.py computes each derivative of cross-entropy in four ways that share no code;
* decimal_reference.py is one of the four, to 50 digits, and knows nothing of the engine.
"""

from .chain_rule import GradientCheck, check_cross_entropy, check_network, check_random_logits
from .comparison import Comparison, Comparisons, Worst, compare, table
from .finite_differences import GradcheckError, gradcheck
from .four_ways import DerivativeCheck, check_four_ways

__all__ = [
    "compare",
    "table",
    "Comparison",
    "Comparisons",
    "Worst",
    "gradcheck",
    "GradcheckError",
    "check_cross_entropy",
    "check_network",
    "check_random_logits",
    "GradientCheck",
    "check_four_ways",
    "DerivativeCheck",
]
