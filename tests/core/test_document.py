"""Configuration as plain data: what becomes a document comes back, and nothing else does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from glassnet.core import document
from glassnet.core.document import documented, from_document, is_default, to_document
from glassnet.core.packages import load_all
from glassnet.errors import ConfigurationError, ModelFileError


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    load_all("glassnet.nn")
    monkeypatch.setattr(document, "_CLASSES", dict(document._CLASSES))


def through_text(value: Any) -> Any:
    return from_document(json.loads(json.dumps(to_document(value, "the test"))))


@documented
@dataclass(frozen=True)
class Inner:
    size: int
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Any
    rates: dict[str, float] = field(default_factory=dict)
    label: str | None = None
    on: bool = False


def test_options_come_back_through_text() -> None:
    documented(Inner)
    documented(Outer)
    for value in (
        Inner(3),
        Inner(3, (1, 2)),
        Outer(Inner(1), {"a": 0.5}, "x", True),
        Outer((Inner(1), Inner(2)), {}, None),
        Outer({"first": Inner(1), "second": (Inner(2), 3)}),
        (Inner(1), None, 1.5, "text", True),
    ):
        assert through_text(value) == value


def test_a_document_holds_what_differs_from_the_defaults() -> None:
    documented(Inner)
    assert to_document(Inner(3), "the test") == {"type": "Inner", "size": 3}
    assert to_document([Inner(3, (1,))], "the test") == [{"type": "Inner", "size": 3, "shape": [1]}]
    assert is_default(Inner(3), "shape")
    assert not is_default(Inner(3), "size")
    assert is_default(Outer(1), "rates")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (len, "len"),
        (lambda x: x, "<lambda>"),
        (np.zeros(2), "ndarray"),
        (object(), "object"),
        (1j, "complex"),
    ],
    ids=["builtin", "function", "array", "object", "complex number"],
)
def test_code_and_what_is_unknown_is_refused_with_its_place(value: Any, name: str) -> None:
    documented(Outer)
    with pytest.raises(ConfigurationError, match=rf"Outer\(inner\) holds {name}, which is code of your own"):
        to_document(Outer(value), "the network")
    with pytest.raises(ConfigurationError, match=rf"the network holds {name}"):
        to_document([value], "the network")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"type": "Dens", "units": 2}, "type 'Dens', which this glassnet does not know; the nearest .*Dense"),
        ({"type": "Zzyzx"}, "'Zzyzx', which this glassnet does not know; import what defines it first"),
        ({"type": ["Dense"]}, r"type \('Dense',\), which this glassnet does not know"),
        ({"type": "Dense"}, "describes its Dense wrongly: .*units"),
        ({"type": "Dense", "units": "many"}, "describes its Dense wrongly: Dense got units='many'"),
        ([{"type": "Dense", "units": 1, "colour": 2}], "describes its Dense wrongly: .*colour"),
        ({"type": "Container", "layers": []}, "describes its Container wrongly"),
    ],
    ids=str,
)
def test_what_describes_nothing_is_refused(given: Any, sentence: str) -> None:
    with pytest.raises(ModelFileError, match=sentence) as caught:
        from_document(given)
    assert "\n" not in str(caught.value)


def test_two_classes_of_one_name_are_refused_and_one_defined_anew_is_not() -> None:
    documented(Inner)
    again = dataclass(frozen=True)(type("Inner", (), {"__annotations__": {"size": int}}))
    again.__module__ = Inner.__module__
    documented(again)
    stranger = type("Inner", (), {"__module__": "elsewhere"})
    with pytest.raises(ConfigurationError, match="Two classes are called Inner; model files tell classes by"):
        documented(stranger)


def test_a_class_of_a_package_that_was_not_loaded_yet_is_found() -> None:
    # A layer's module is loaded when its name is asked for, and a model file asks by name.
    program = (
        "import sys\n"
        "from glassnet.core.document import from_document\n"
        "assert 'glassnet.nn.normalisation' not in sys.modules\n"
        "print(from_document({'type': 'GroupNorm', 'groups': 2}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "GroupNorm(2)"
