from __future__ import annotations

import pytest


def test_the_derivation_of_an_expression_is_printed(command):
    code, out, err = command("derive", "a*tanh(w*x+b)", "--wrt", "w", "--at", "w=1,x=2", "--form", "ascii")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "f = a tanh(w x + b)",
        "",
        "df/dw = a tanh'(w x + b) x",
        "",
        "with",
        "    tanh'(z) = 1 - tanh(z)^2",
        "",
        "at",
        "    w = 1",
        "    x = 2",
        "    df/dw = 2 a tanh'(2 + b)",
    ]


def test_numbers_for_all_names_give_a_number(command):
    code, out, _ = command("derive", "x^2 * y", "--at", "x=3, y=2")
    assert code == 0
    assert "∂f/∂x = 2 × 2 × 3 = 12" in out
    assert "∂f/∂y = 3² = 9" in out


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("text", "∂f/∂w = 2 (w − 1)"),
        ("latex", r"\frac{\partial f}{\partial w} &= 2 \, \left(w-1\right)"),
        ("mathml", "<mfrac>"),
        ("html", '<div class="glassnet-derivation">'),
    ],
)
def test_it_is_written_as_asked_for(command, form, part):
    code, out, _ = command("derive", "(w - 1)^2", "--form", form)
    assert code == 0
    assert part in out


def test_the_steps_can_be_left_out(command):
    _, with_steps, _ = command("derive", "(w - 1)^2 / 2")
    _, without, _ = command("derive", "(w - 1)^2 / 2", "--no-steps")
    assert "chain rule" in with_steps
    assert "chain rule" not in without


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("w x",), "'w x' is no expression from 'x' on; it takes numbers, names,"),
        (("(1 +",), "it takes numbers, names,"),
        (("tahn(x)",), "There is no function 'tahn'; the nearest is tan."),
        (("w (x)",), "There is no function 'w';"),
        (("__import__('os').system('true')",), "is not understood in"),
        (("x.real",), "'x.real' is not understood in 'x.real'; it takes numbers,"),
        (("[x]",), "'[x]' is not understood"),
        (("(lambda: x)()",), "is not understood in"),
        (("x if x else 1",), "is not understood in"),
        (("'a' * 3",), "is not understood in"),
        (("tanh(x, y)",), "tanh takes 1 argument and has 2 in 'tanh(x, y)'."),
        (("x * " * 600 + "x",), "The expression has 2,401 characters; at most 2,000 are read"),
        (("0" + "-" * 150 + "x",), "The expression nests more than 100 deep"),
        (("x", "--wrt", "z"), "wrt='z' is no variable of f; it has x."),
        (("x", "--at", "x"), "--at got 'x' where it takes name=number, as in w=1,x=2."),
        (("x", "--at", "y=1"), "at= gives a number to y, which is no argument of f; it has x."),
    ],
)
def test_what_cannot_be_derived_is_said_in_one_sentence(command, arguments, sentence):
    code, out, err = command("derive", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
