from __future__ import annotations

import glassnet as gn
import glassnet.numpy as gnp


def test_a_value_stored_in_a_local_variable_reads_as_that_variable() -> None:
    def f(w, x, b):
        z = (
            w * x
            + b
        )  # fmt: skip
        y = gnp.sigmoid(z)
        return y * y

    derivation = gn.derive(f, wrt="w")
    assert derivation.formula == "y y"
    assert derivation.partials["w"].formula == "2 y s'(z) x"
    assert dict(derivation.definitions) == {"z": "w x + b", "y": "s(z)", "s'(z)": "s(z) (1 - s(z))"}


def test_a_running_total_is_its_last_value() -> None:
    def f(x):
        total = x
        for _ in range(2):
            total = total * x
        return gnp.exp(total)

    derivation = gn.derive(f)
    assert derivation.formula == "exp(total)"
    assert derivation.definitions == {"total": "x x x"}


def test_a_name_for_several_values_names_none() -> None:
    def unit(x):
        h = gnp.tanh(x)
        return 2 * h

    def f(x, y):
        return unit(x) * unit(y)

    assert gn.derive(f).formula == "2 tanh(x) * 2 tanh(y)"


def test_a_variable_cannot_take_the_name_of_an_argument() -> None:
    def f(x):
        x = gnp.exp(x)
        return x + 1

    assert gn.derive(f).formula == "exp(x) + 1"
