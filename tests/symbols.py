"""What the tests of symbolic/ share: numbers put in the place of symbols."""

import numpy as np
import sympy


def numbers(found, values):
    """Expressions evaluated for numbers in the place of symbols."""
    known = {
        sympy.Symbol(name, real=True): sympy.Float(value, 20) for name, value in values.items()
    }
    evaluated = [e.xreplace(known) for e in np.ravel(np.asarray(found, object))]
    evaluated = [bool(e) if e.is_Boolean else float(e.evalf(20)) for e in evaluated]
    return np.reshape(evaluated, np.shape(found))


def named(name, array):
    """The numbers of an array by the names of the symbols of its elements."""
    if array.size == 1:
        return {name: array.item()}
    return {
        "_".join([name, *(str(i + 1) for i in place)]): array[place]
        for place in np.ndindex(array.shape)
    }
