"""The examples in docstrings say what the code answers."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITH_EXAMPLES = [
    ".".join(path.relative_to(folder).with_suffix("").parts)
    for folder in (ROOT / "service", ROOT / "parsers")
    for path in sorted(folder.rglob("*.py"))
    if re.search(r"^ *>>> ", path.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_a_docstrings_examples_hold(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    import_module(name)
    failed, tried = doctest.testmod(import_module(name))
    assert tried
    assert not failed, capsys.readouterr().out
