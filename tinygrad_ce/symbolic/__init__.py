r"""The proof: a graph read as SymPy expressions, and the closed form to which they simplify.

What backprop computes is a graph, and a graph can be read with symbols in place of numbers:
`expressions` does so, for any Tensor. `prove` reads what generic backprop finds for the gradient of
cross-entropy, or for its Hessian, and shows that the difference to the closed form is 0 for all
logits. That is the derivation of the textbook, made by the machine:

>>> print(prove(2, target=0))
∂L/∂z = p − y, with p = softmax(z) and y = (1, 0)
...
    c = exp(z₁ − m) + exp(z₂ − m)
    ∂L/∂z₁ = exp(z₁ − m)/c − 1 = p₁ − 1
    ∂L/∂z₂ = exp(z₂ − m)/c = p₂
<BLANKLINE>
Proved: the difference simplifies to 0.

Needs the extra `symbolic`: ``pip install "tinygrad-ce[symbolic]"``.

In the order of the work: full_graph.py keeps in the graph what has no derivative; read_graph.py
reads it by sympy_rules.py and exact_numbers.py; simplify.py brings a difference to one fraction;
proof.py compares, and result.py has what came of it, which setting.py sets as text or LaTeX.
"""

from .full_graph import recording
from .proof import prove, prove_equal
from .read_graph import expressions
from .result import Proof, Step

__all__ = ["expressions", "recording", "prove", "prove_equal", "Proof", "Step"]
