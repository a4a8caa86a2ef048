"""Lanes as arrays: the value rule of an op, run on them, writes the op's loop code.

A value rule takes an array namespace `xp`. `Namespace` is one whose arrays are values of the loop language,
so that a function said once, in `ops.special_values`, is what the interpreter computes and what is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from glassnet.compiler.loop_ir import Builder, Operand
from glassnet.compiler.lowering import exponential, powers, trigonometric
from glassnet.core.dtype import DType

_DTYPES = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64), "i1": np.dtype(np.bool_)}
_ELEMENTS = {dtype: element for element, dtype in _DTYPES.items()}
_LARGEST_PRODUCT = 8  # whole powers up to this are products


class Lanes:
    """A vector of the loop language with the operators of an array."""

    __slots__ = ("b", "operand")
    __hash__ = None  # type: ignore[assignment]  # == compares lane by lane

    def __init__(self, b: Builder, operand: Operand) -> None:
        self.b, self.operand = b, operand

    @property
    def dtype(self) -> DType:
        """The type of a lane."""
        return _DTYPES[self.operand.type.element]

    def astype(self, dtype: Any) -> Lanes:
        """The same numbers in another floating type."""
        element, own = _ELEMENTS[np.dtype(dtype)], self.operand.type.element
        if element == own:
            return self
        return Lanes(self.b, (self.b.fpext if element == "f64" else self.b.fptrunc)(self.operand, element))

    def __getitem__(self, key: tuple[()]) -> Lanes:
        return self

    def _with(self, operation: Callable[..., Operand], *operands: Any) -> Lanes:
        return Lanes(self.b, operation(*(x.operand if isinstance(x, Lanes) else x for x in operands)))

    def _compare(self, predicate: str, other: Any) -> Lanes:
        return Lanes(self.b, self.b.compare(predicate, self.operand, plain(other)))

    def __add__(self, other: Any) -> Lanes:
        return self._with(self.b.add, self, other)

    def __radd__(self, other: Any) -> Lanes:
        return self._with(self.b.add, other, self)

    def __sub__(self, other: Any) -> Lanes:
        return self._with(self.b.sub, self, other)

    def __rsub__(self, other: Any) -> Lanes:
        return self._with(self.b.sub, other, self)

    def __mul__(self, other: Any) -> Lanes:
        return self._with(self.b.mul, self, other)

    def __rmul__(self, other: Any) -> Lanes:
        return self._with(self.b.mul, other, self)

    def __truediv__(self, other: Any) -> Lanes:
        return self._with(self.b.div, self, other)

    def __rtruediv__(self, other: Any) -> Lanes:
        return self._with(self.b.div, other, self)

    def __neg__(self) -> Lanes:
        return self._with(self.b.neg, self)

    def __and__(self, other: Any) -> Lanes:
        return self._with(self.b.iand, self, other)

    def __or__(self, other: Any) -> Lanes:
        return self._with(self.b.ior, self, other)

    def __lt__(self, other: Any) -> Lanes:
        return self._compare("lt", other)

    def __le__(self, other: Any) -> Lanes:
        return self._compare("le", other)

    def __gt__(self, other: Any) -> Lanes:
        return self._compare("gt", other)

    def __ge__(self, other: Any) -> Lanes:
        return self._compare("ge", other)

    def __eq__(self, other: object) -> Any:
        return self._compare("eq", other)


def plain(x: Any) -> Any:
    """The operand of lanes, or the number itself."""
    return x.operand if isinstance(x, Lanes) else x


class Namespace:
    """The part of the array API that the value rules of special functions use."""

    float64 = np.float64

    def __init__(self, b: Builder) -> None:
        self.b = b

    def _call(self, function: Callable[..., Operand], *operands: Any) -> Lanes:
        return Lanes(self.b, function(self.b, *map(plain, operands)))

    def asarray(self, x: Lanes) -> Lanes:
        """x itself."""
        return x

    def zeros_like(self, x: Lanes) -> Lanes:
        """0 in every lane."""
        return Lanes(self.b, self.b.zero(x.operand.type))

    def ones_like(self, x: Lanes) -> Lanes:
        """1 in every lane."""
        return Lanes(self.b, self.b.constant(1.0, x.operand.type))

    def where(self, mask: Lanes, x: Any, y: Any) -> Lanes:
        """x in the lanes where the mask holds, else y; two plain numbers are f64."""
        x, y = plain(x), plain(y)
        if isinstance(x, float) and isinstance(y, float):
            x = self.b.constant(x, mask.operand.type.of("f64"))
        return Lanes(self.b, self.b.select(mask.operand, x, y))

    def abs(self, x: Lanes) -> Lanes:
        """|x|."""
        return Lanes(self.b, self.b.abs(x.operand))

    def sqrt(self, x: Lanes) -> Lanes:
        """The square root."""
        return Lanes(self.b, self.b.sqrt(x.operand))

    def floor(self, x: Lanes) -> Lanes:
        """The largest whole number that is not above x."""
        return Lanes(self.b, self.b.floor(x.operand))

    def round(self, x: Lanes) -> Lanes:
        """The nearest whole number."""
        return Lanes(self.b, self.b.round_even(x.operand))

    def isfinite(self, x: Lanes) -> Lanes:
        """True where x is neither infinite nor NaN."""
        return self.abs(x) < np.inf

    def copysign(self, x: Any, y: Lanes) -> Lanes:
        """|x| with the sign of y."""
        return Lanes(self.b, self.b.copysign(plain(x), y.operand))

    def minimum(self, x: Lanes, bound: float) -> Lanes:
        """The smaller of x and a number; NaN stays."""
        return Lanes(self.b, self.b.minimum(bound, x.operand))

    def maximum(self, x: Lanes, bound: float) -> Lanes:
        """The larger of x and a number; NaN stays."""
        return Lanes(self.b, self.b.maximum(bound, x.operand))

    def remainder(self, x: Lanes, divisor: float) -> Lanes:
        """x mod a power of 2."""
        return x - self.floor(x * (1 / divisor)) * divisor

    def exp(self, x: Lanes) -> Lanes:
        """e^x."""
        return self._call(exponential.exp, x)

    def log(self, x: Lanes) -> Lanes:
        """The natural logarithm."""
        return self._call(exponential.log, x)

    def sin(self, x: Lanes) -> Lanes:
        """The sine."""
        return self._call(trigonometric.sin, x)

    def tan(self, x: Lanes) -> Lanes:
        """The tangent."""
        return self._call(trigonometric.tan, x)

    def power(self, x: Lanes, y: Any) -> Lanes:
        """x^y; of a small whole number y as a product, or one over it."""
        if isinstance(y, Lanes):
            return self._call(powers.power, x, y)
        if y == int(y) and 0 < abs(y) <= _LARGEST_PRODUCT:
            product = x
            for digit in f"{int(abs(y)):b}"[1:]:
                product = product * product * x if digit == "1" else product * product
            return 1 / product if y < 0 else product
        return self._call(powers.power, x, self.b.constant(y, x.operand.type))


def by_value_rule(rule: Callable[..., Any], b: Builder, x: Operand, **attributes: Any) -> Operand:
    """The value rule of an op of one argument, written for the lanes of x."""
    return rule(Namespace(b), Lanes(b, x), **attributes).operand
