"""Pseudo-random numbers that are a function of a name.

Any process may ask for any instant of the market in any order, and must get the same answer. So
nothing here keeps state, and nothing depends on `hash()`, which differs from process to process.
"""

import hashlib
import sys
from array import array
from statistics import NormalDist
from typing import Final, Literal

_STANDARD: Final = NormalDist()


def _bytes(size: int, name: tuple[object, ...]) -> bytes:
    return hashlib.shake_128("/".join(map(str, name)).encode()).digest(size)


def uniform(*name: object) -> float:
    """Return a number in (0, 1)."""
    return (int.from_bytes(_bytes(8, name), "little") + 1) / (2**64 + 2)


def normal(*name: object) -> float:
    """Return a number from the standard normal distribution, at most 6 from zero."""
    return max(-6.0, min(6.0, _STANDARD.inv_cdf(min(uniform(*name), 1 - 1e-16))))


def integers(count: int, *name: object, kind: Literal["b", "B", "h", "H"]) -> "array[int]":
    """Return `count` integers, uniform over the `array` type `kind` (8 or 16 bits)."""
    numbers = array(kind)
    numbers.frombytes(_bytes(count * numbers.itemsize, name))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
