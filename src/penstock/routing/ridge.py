"""Ridge regression on sparse rows by conjugate gradients.

numpy is imported where it is used: a gateway that never trains doesn't load it. Ten thousand prompts of a
hundred features take about a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    Vector = NDArray[float64]

_STEPS: Final = 60
_ENOUGH: Final = 1e-5


@dataclass(frozen=True, slots=True)
class SparseRow:
    """One row: the columns that are not zero, and their values."""

    columns: Sequence[int]
    values: Sequence[float]


def ridge(rows: Sequence[SparseRow], target: Sequence[float], width: int, penalty: float) -> list[float]:
    """Give the `width` coefficients that minimise squared error plus `penalty` times their squared norm."""
    import numpy as np

    matrix = _Matrix(rows, width)
    found = np.zeros(width)
    rest = matrix.back(np.asarray(target, dtype=float))
    direction = rest.copy()
    size = first = _squared(rest)
    for _ in range(_STEPS):
        if size <= first * _ENOUGH**2 or not size:
            break
        pushed = matrix.back(matrix.times(direction)) + penalty * direction
        step = size / float((direction * pushed).sum())
        found += step * direction
        rest -= step * pushed
        before, size = size, _squared(rest)
        direction = rest + size / before * direction
    return [float(value) for value in found]


def weighted(row: SparseRow, weight: float) -> SparseRow:
    """Scale a row so that its squared error counts `weight` times; its target needs the same root."""
    root = sqrt(weight)
    return SparseRow(row.columns, [value * root for value in row.values])


class _Matrix:
    """All rows as three long arrays: where each value stands, and what it is."""

    def __init__(self, rows: Sequence[SparseRow], width: int) -> None:
        import numpy as np

        lengths = [len(row.columns) for row in rows]
        self._count, self._width, self._bincount = len(rows), width, np.bincount
        self._row = np.repeat(np.arange(len(rows)), lengths)
        self._column = np.fromiter((c for row in rows for c in row.columns), dtype=np.intp)
        self._value = np.fromiter((v for row in rows for v in row.values), dtype=float)

    def times(self, vector: "Vector") -> "Vector":
        """Multiply with one number for each column."""
        return self._bincount(self._row, self._value * vector[self._column], self._count)

    def back(self, vector: "Vector") -> "Vector":
        """Multiply the transposed matrix with one number for each row."""
        return self._bincount(self._column, self._value * vector[self._row], self._width)


def _squared(vector: "Vector") -> float:
    return float((vector * vector).sum())
