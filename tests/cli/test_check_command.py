from __future__ import annotations

import re
from dataclasses import replace

import pytest

from glassnet.core.op import Elementwise
from glassnet.core.registry import OPS


def test_the_table_has_a_line_for_each_op_asked_for_and_a_verdict(command):
    code, out, err = command("check", "ops", "tanh", "abs", "sign")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    (tanh,) = [line for line in lines if line[:1] == ["tanh"]]
    assert tanh[-2:] == ["complex", "step"]
    assert all(0 <= float(error) <= 1e-9 for error in tanh[1:5])
    assert any(line[:1] == ["abs"] and line[-1] == "Richardson" for line in lines)
    assert "sign has no derivative: it is constant on either side of 0." in out
    assert "3 of 3 ops passed; the largest relative error is" in out


def test_a_wrong_derivative_is_named_and_the_exit_code_is_1(command, monkeypatch):
    wrong = replace(OPS["exp"], derivative=Elementwise((lambda out, x: out * 1.000001,)))
    monkeypatch.setitem(OPS, "exp", wrong)
    code, out, _ = command("check", "ops", "exp", "tanh")
    assert code == 1
    assert re.search(r"WRONG exp, case 2: forward mode, output 0 of order 1 is off by [\d.]+e-07 at", out)
    assert "WRONG tanh" not in out
    assert "1 of 2 ops failed." in out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("check", "ops", "tangent"), "There is no op tangent; glassnet check ops lists them all."),
        (("check", "models"), '"models"'),
    ],
)
def test_what_cannot_be_checked_is_said_in_one_sentence(command, arguments, part):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert part in err
    assert err.count("\n") == 1
