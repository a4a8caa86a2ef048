"""A small grammar of LaTeX for formulas: braces, pairs, environments, and the commands that amsmath knows."""

from __future__ import annotations

import re

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}_^&]|\s+|[^\\{}_^&\s]", re.DOTALL)
ARGUMENTS = {"frac": 2, "sqrt": 1, "hat": 1, "operatorname": 1, "mathrm": 1, "mathsf": 1, "text": 1}
PLAIN = {
    *(
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "eta",
        "theta",
        "lambda",
        "mu",
        "pi",
        "rho",
        "sigma",
        "tau",
    ),
    *(
        "phi",
        "chi",
        "psi",
        "omega",
        "cdot",
        "odot",
        "partial",
        "prime",
        "le",
        "ge",
        "ne",
        "lnot",
        "oplus",
        "mid",
    ),
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "max", "min", "det"),
    *("arcsin", "arccos", "arctan"),
}
ENVIRONMENTS = {"align*", "cases", "bmatrix"}


def check_latex(text: str) -> None:
    """AssertionError where the text is not of the grammar."""
    tokens = [token for token in TOKEN.findall(text) if not token.isspace()]
    assert "".join(tokens) == re.sub(r"\s", "", text), "a character stands outside the grammar"
    rest = _sequence(tokens, "")
    assert not rest, f"unexpected {rest[0]}"


def _sequence(tokens: list[str], closing: str) -> list[str]:
    """What is left after tokens up to one that closes."""
    scripts: set[str] = set()
    while tokens:
        token, *rest = tokens
        if token in ("}", r"\right", r"\end"):
            assert closing == token, f"{token} closes {closing or 'nothing'}"
            return tokens
        if token in ("_", "^"):
            assert token not in scripts, f"double {token}"
            scripts.add(token)
            tokens = _argument(rest)
            continue
        scripts = set()
        tokens = _one(token, rest)
    assert not closing, f"{closing} is missing"
    return tokens


def _one(token: str, rest: list[str]) -> list[str]:
    """What is left after one thing."""
    if token == "{":
        return _sequence(rest, "}")[1:]
    if token == r"\left":
        assert rest[0] in "([|", f"\\left{rest[0]}"
        after = _sequence(rest[1:], r"\right")
        assert after[1] in ")]|", f"\\right{after[1]}"
        return after[2:]
    if token == r"\begin":
        name, inside = _name(rest)
        assert name in ENVIRONMENTS, name
        after = _sequence(inside, r"\end")
        closed, after = _name(after[1:])
        assert closed == name, f"{name} is closed by {closed}"
        return after
    if token.startswith("\\") and token[1].isalpha():
        command = token[1:]
        assert command in ARGUMENTS or command in PLAIN, f"unknown command {token}"
        for _ in range(ARGUMENTS.get(command, 0)):
            rest = _argument(rest)
        return rest
    assert not token.startswith("\\") or token[1] in "\\,;_&", f"unknown command {token}"
    return rest


def _argument(tokens: list[str]) -> list[str]:
    assert tokens[:1] == ["{"], "an argument stands in braces"
    return _sequence(tokens[1:], "}")[1:]


def _name(tokens: list[str]) -> tuple[str, list[str]]:
    end = tokens.index("}")
    return "".join(tokens[1:end]), tokens[end + 1 :]
