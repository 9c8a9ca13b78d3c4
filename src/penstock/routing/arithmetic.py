"""Find equations in an answer, such as `3 * 4 = 12`, and see whether they hold."""

import ast
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_NUMBER: Final = r"(?:\$?\d[\d,]{0,30}+(?:\.\d{1,30}+)?+|\$?\.\d{1,30}+)"
_OPENED: Final = r"(?:\({1,9}+\s*+)?+"
# Nothing here can match one text in two ways, and a sum without a result is taken whole: a search takes
# linear time, whatever a model says.
_EQUATION: Final = re.compile(
    rf"({_OPENED}{_NUMBER}(?:\s*+(?:[%)]++\s*+)?+[-+*/x\u00d7\u00f7]\s*+{_OPENED}{_NUMBER})++\s*+%?+\)*+)"
    rf"(?:\s*+=\s*+(-?+\s*+{_NUMBER}))?+"
)
_SPELLED: Final = str.maketrans({"x": "*", "\u00d7": "*", "\u00f7": "/", "$": None, ",": None})
_LONGEST: Final = 120

_OPERATORS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True, slots=True)
class Equation:
    """What stands left and right of an equals sign, both as numbers."""

    left: float
    right: float

    def holds(self) -> bool:
        """Say whether both sides agree, allowing for rounding to what people write."""
        return abs(self.left - self.right) <= max(0.011, 0.006 * abs(self.left))


def equations(answer: str) -> Iterator[Equation]:
    """Give the equations of an answer whose left side is arithmetic on plain numbers."""
    for left, right in _EQUATION.findall(answer):
        value = _value(left) if right else None
        if value is not None:
            yield Equation(value, float(right.replace(" ", "").translate(_SPELLED)))


def _value(expression: str) -> float | None:
    """Compute an expression of numbers and the four operations; None if it is anything else."""
    if len(expression) > _LONGEST:
        return None
    written = expression.translate(_SPELLED).replace("%", "/100").strip()
    try:
        return _computed(ast.parse(written, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError):
        return None


def _computed(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_computed(left), _computed(right))
        case _:
            raise ValueError(node)
