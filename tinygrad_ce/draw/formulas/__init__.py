r"""The formulas of primitives, which their values and rules write themselves.

A rule is operators, NumPy functions and other primitives. Run on symbols instead of arrays, it
returns the tree of its formula (symbols.py, with the grammar in trees.py). `latex` prints a tree,
the page of `draw` writes it with names or with numbers, and `evaluate` computes it on arrays.

>>> from tinygrad_ce.engine import primitives
>>> rule_formula(primitives.divide, 1)
('neg', ('frac', ('times', ('var', 'g'), ('var', 'y')), ('var', 'b')))
>>> print(latex(_))
-\frac{g\,y}{b}

What a rule does at single points, such as ``np.where(b == 0, 0, ...)``, is left out. So is what
cannot be seen in a formula: shapes, dtypes, axes.
"""

from .evaluation import evaluate
from .symbols import Letters, letters, rule_formula, value_formula
from .to_latex import latex, latex_text
from .trees import Tree, replace

__all__ = [
    "Letters", "Tree", "evaluate", "latex", "latex_text", "letters", "replace", "rule_formula",
    "value_formula",
]  # fmt: skip
