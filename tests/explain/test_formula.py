from __future__ import annotations

import pytest

import glassnet as gn
import glassnet.numpy as gnp

AS_WRITTEN = {
    "a - (b - c)": lambda a, b, c: a - (b - c),
    "a - b - c": lambda a, b, c: a - b - c,
    "a + b - c": lambda a, b, c: a + (b - c),
    "(a + b) c": lambda a, b, c: (a + b) * c,
    "a b c": lambda a, b, c: a * (b * c),
    "(a / b) c": lambda a, b, c: a / b * c,
    "a / (b c)": lambda a, b, c: a / (b * c),
    "a b / c": lambda a, b, c: a * b / c,
    "a / b / c": lambda a, b, c: a / b / c,
    "(-a) b + c": lambda a, b, c: (-a) * b + c,
    "-a b + c": lambda a, b, c: -(a * b) + c,
    "a + (-b c)": lambda a, b, c: a + (-(b * c)),
    "-(-a) + b + c": lambda a, b, c: gnp.negative(-a) + b + c,
    "(a^b)^c": lambda a, b, c: (a**b) ** c,
    "a^(b^c)": lambda a, b, c: a ** (b**c),
    "(-a)^2 + b c": lambda a, b, c: (-a) ** 2 + b * c,
    "-a^2 + b c": lambda a, b, c: -(a**2) + b * c,
    "a^(-2) + b c": lambda a, b, c: a**-2 + b * c,
    "a (-2) + b c": lambda a, b, c: a * -2 + b * c,
    "a * 2 b + c": lambda a, b, c: a * 2 * b + c,
    "2^a + 0.1 b c": lambda a, b, c: 2**a + 0.1 * b * c,
    "pi a + 1e-12 b + c": lambda a, b, c: gnp.pi * a + 1e-12 * b + c,
    "|(a |b| c)|": lambda a, b, c: abs(a * abs(b) * c),
    "|-a| + exp(-b) + c": lambda a, b, c: abs(-a) + gnp.exp(-b) + c,
    "max(-a, b + c)": lambda a, b, c: gnp.maximum(-a, b + c),
    "log(1 + (-a)) + b + c": lambda a, b, c: gnp.log1p(-a) + b + c,
    "(a if b > c else 0)": lambda a, b, c: gnp.where(b > c, a, 0.0),
    "s(a) (b + c)": lambda a, b, c: gnp.sigmoid(a) * (b + c),
}


@pytest.mark.parametrize(("text", "f"), AS_WRITTEN.items(), ids=AS_WRITTEN)
def test_parentheses_stand_where_they_are_needed_and_nowhere_else(text: str, f) -> None:
    assert gn.derive(f).formula == text


SIMPLIFIED = {
    "x": lambda x: x**2 / 2,
    "6 x^2": lambda x: 2 * x**3,
    "1": lambda x: 0 + 1 * x,
    "-(1 - x)": lambda x: (1 - x) ** 2 / 2,
    "x / 2": lambda x: x**2 / 4,
    "1 / 3": lambda x: x / 3,
    "0.5": lambda x: x * 0.5,
    "-1 / x^2": lambda x: 1 / x,
    "0.37 x": lambda x: 0.185 * x**2,
    "2 x + 3": lambda x: x**2 + 3 * x,
    "3": lambda x: x + x + x,
    "x^(-0.5) / 2": lambda x: x**0.5,
    "2^x log(2)": lambda x: 2**x,
    "sign(x)": lambda x: abs(x),
    "exp(x)": lambda x: gnp.exp(x),
    "1 / (1 + x)": lambda x: gnp.log1p(x),
}


@pytest.mark.parametrize(("text", "f"), SIMPLIFIED.items(), ids=SIMPLIFIED)
def test_derivatives_are_written_as_people_write_them(text: str, f) -> None:
    assert gn.derive(f).partials["x"].formula == text
