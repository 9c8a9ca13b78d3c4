"""Ridge regression on sparse rows by conjugate gradients.

Plain Python: rows and columns are both kept, so that each product is a gather that runs in C. Ten thousand
prompts of a hundred features take seconds, off the path of any request.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from operator import mul
from typing import Final

_STEPS: Final = 40
_ENOUGH: Final = 1e-5

Vector = list[float]

_times: Final[Callable[[float, float], float]] = mul


@dataclass(frozen=True, slots=True)
class SparseRow:
    """One row: the columns that are not zero, and their values."""

    columns: Sequence[int]
    values: Sequence[float]

    def dot(self, vector: Sequence[float]) -> float:
        """Give the product with a dense vector."""
        return sum(map(_times, self.values, map(vector.__getitem__, self.columns)))


def ridge(rows: Sequence[SparseRow], target: Sequence[float], width: int, penalty: float) -> Vector:
    """Give the `width` coefficients that minimise squared error plus `penalty` times their squared norm."""
    columns = _transposed(rows, width)
    found = [0.0] * width
    rest = [column.dot(target) for column in columns]
    direction = list(rest)
    size = first = _squared(rest)
    for _ in range(_STEPS):
        if size <= first * _ENOUGH**2 or not size:
            break
        seen = [row.dot(direction) for row in rows]
        pushed = [
            column.dot(seen) + penalty * value for column, value in zip(columns, direction, strict=True)
        ]
        step = size / sum(map(_times, direction, pushed))
        found = [value + step * move for value, move in zip(found, direction, strict=True)]
        rest = [value - step * move for value, move in zip(rest, pushed, strict=True)]
        before, size = size, _squared(rest)
        direction = [value + size / before * move for value, move in zip(rest, direction, strict=True)]
    return found


def weighted(row: SparseRow, weight: float) -> SparseRow:
    """Scale a row so that its squared error counts `weight` times; its target needs the same root."""
    root = sqrt(weight)
    return SparseRow(row.columns, [value * root for value in row.values])


def _transposed(rows: Sequence[SparseRow], width: int) -> list[SparseRow]:
    places: list[list[int]] = [[] for _ in range(width)]
    values: list[list[float]] = [[] for _ in range(width)]
    for place, row in enumerate(rows):
        for column, value in zip(row.columns, row.values, strict=True):
            places[column].append(place)
            values[column].append(value)
    return [SparseRow(at, of) for at, of in zip(places, values, strict=True)]


def _squared(vector: Vector) -> float:
    return sum(map(_times, vector, vector))
