r"""The formulas of primitives, which their values and rules write themselves.

Run on symbols instead of arrays (symbols.py), a rule returns the tree of its formula (trees.py);
`latex` prints it, `write` writes it
for the page, and `evaluate` computes it on arrays. What a rule does at single points, such as
``np.where(b == 0, 0, ...)``, is left out, as are shapes, dtypes and axes.

>>> from tinygrad_ce.engine import primitives
>>> print(latex(rule_formula(primitives.divide, 1)))
-\frac{g\,y}{b}
"""

from .symbols import letters, rule_formula, value_formula
from .trees import Tree, evaluate, latex, latex_text, replace, write

__all__ = [
    "Tree", "evaluate", "latex", "latex_text", "letters", "replace", "rule_formula",
    "value_formula", "write",
]  # fmt: skip
