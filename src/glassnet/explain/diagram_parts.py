"""What an influence diagram is drawn from: variables, edges, paths; and how their numbers are written."""

from __future__ import annotations

from dataclasses import dataclass

Link = tuple[str, str]  # from, to


@dataclass(frozen=True)
class Variable:
    """A node of the diagram: a number, or an array (or the rest of one) by its norm.

    `gradient` is the derivative of the output with respect to it, None where there is none; where it or the
    output is no single number, the Frobenius norm of the Jacobian. `shape` is None for a number. `column`
    counts from the left, `highlighted` says that it lies on a path from what was chosen.
    """

    name: str
    value: float
    gradient: float | None
    column: int
    shape: tuple[int, ...] | None = None
    is_norm: bool = False
    highlighted: bool = False

    @property
    def caption(self) -> str:
        """Its name, with its shape where it is an array."""
        extents = "×".join(map(str, self.shape or ()))
        return f"{self.name} ({extents})" if extents else self.name


@dataclass(frozen=True)
class Edge:
    """The direct derivative of one variable with respect to another, all others held fixed.

    Where both are single numbers it has a sign; else it is the Frobenius norm of the Jacobian, None where
    that has too many elements to be measured.
    """

    derivative: float | None
    is_norm: bool = False
    highlighted: bool = False


@dataclass(frozen=True)
class Route:
    """What one path contributes to a derivative; `factors` where every edge on it is a single number.

    The factors stand as in the chain rule, the outermost first.
    """

    variables: tuple[str, ...]
    contribution: float
    factors: tuple[float, ...] | None


def number(value: float | None, digits: int = 4) -> str:
    """A number for people, with a minus sign as long as the plus.

    >>> number(-0.125), number(-0.0), number(None)
    ('−0.125', '0', '?')
    """
    return "?" if value is None else f"{value + 0.0:.{digits}g}".replace("-", "−")


def norm_or_number(value: float | None, is_norm: bool, digits: int = 4) -> str:
    """The same, between bars where it is a norm.

    >>> norm_or_number(2.5, is_norm=True)
    '||2.5||'
    """
    return f"||{number(value, digits)}||" if is_norm and value is not None else number(value, digits)


def slope(of: str, by: str) -> str:
    """How a derivative is written.

    >>> slope("f", "w"), slope("loss", "x: 60 more")
    ('∂f/∂w', '∂loss/∂(x: 60 more)')
    """
    return "/".join(f"∂({name})" if ": " in name else f"∂{name}" for name in (of, by))
