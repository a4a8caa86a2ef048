"""The pages on one idea each: it is derived, drawn and traced, in that order, before all else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CURRICULUM = Path(__file__).resolve().parents[2] / "docs" / "curriculum"
ITEMS = (*range(1, 10), 12, 13, 14, 16)


@pytest.mark.parametrize("item", ITEMS)
def test_a_page_begins_with_derivation_diagram_and_trace_each_executed(item: int) -> None:
    (page,) = CURRICULUM.glob(f"{item:02}_*.md")
    _, *sections = re.split(r"^## ", page.read_text("utf-8"), flags=re.MULTILINE)
    assert [section.partition("\n")[0] for section in sections[:3]] == ["Derivation", "Diagram", "Trace"]
    for section, call in zip(sections, ("gn.derive(", "gn.diagram(", ".trace("), strict=False):
        assert any(call in line for line in section.splitlines() if line.startswith((">>> ", "...")))
