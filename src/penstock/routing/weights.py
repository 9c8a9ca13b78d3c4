"""Weights of a scorer: a frozen value that scores features, can be stored, and has a digest."""

import hashlib
from array import array
from collections.abc import ItemsView, Mapping
from itertools import repeat
from typing import Final, Self

import msgspec

from penstock.routing.features import Features, Scales

_NONE: Final = repeat(0.0)


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """Weights as they are stored: two parallel arrays of 32-bit numbers and what is true of all of them."""

    scales: Scales
    intercept: float
    features: bytes
    pulls: bytes


class Weights:
    """A linear scorer of the gain: how much better the large model is expected to do.

    Each feature pulls the score up or down; the sum is divided by the root of how many features there are,
    so that a long prompt does not shout and one full of unknown words comes out near the mean.
    """

    __slots__ = ("_pulls", "intercept", "scales")

    def __init__(self, scales: Scales, intercept: float, pulls: Mapping[int, float]) -> None:
        self.scales = scales
        self.intercept = intercept
        self._pulls = pulls

    def gain(self, features: Features) -> float:
        """Give the expected gain, in units of quality: about -1 to 1."""
        pull = self._pulls.get
        score = (
            sum(map(pull, features.words, _NONE))
            + sum(map(pull, features.options, _NONE))
            + sum(map(pull, features.shape, _NONE))
        )
        return self.intercept + score / features.size(self.scales)

    def pull(self, feature: int) -> float:
        """Give what one feature pulls; 0 for one that was never learned."""
        return self._pulls.get(feature, 0.0)

    def items(self) -> ItemsView[int, float]:
        """Give every feature with its pull."""
        return self._pulls.items()

    def __len__(self) -> int:
        return len(self._pulls)

    def packed(self) -> bytes:
        """Give the bytes that `unpacked` reads."""
        features = sorted(self._pulls)
        pulls = (self._pulls[feature] for feature in features)
        return msgspec.msgpack.encode(
            Packed(self.scales, self.intercept, array("I", features).tobytes(), array("f", pulls).tobytes())
        )

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        """Read what `packed` wrote. Raises msgspec.DecodeError for anything else."""
        packed = msgspec.msgpack.decode(data, type=Packed)
        if len(packed.features) != len(packed.pulls) or len(packed.features) % 4:
            raise msgspec.DecodeError("the arrays of the weights don't fit together")
        features, pulls = array("I", packed.features), array("f", packed.pulls)
        return cls(packed.scales, packed.intercept, dict(zip(features, pulls, strict=True)))

    def digest(self) -> str:
        """Name this version: the same weights have the same digest."""
        return hashlib.blake2b(self.packed(), digest_size=8).hexdigest()


NOTHING: Final = Weights((1.0, 1.0, 1.0), 0.0, {})
