"""Verification: comparisons, finite differences, and independent references."""

from .comparison import Comparison, Comparisons, compare
from .finite_differences import GradcheckError, gradcheck

__all__ = ["Comparison", "Comparisons", "GradcheckError", "compare", "gradcheck"]
