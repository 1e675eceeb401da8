"""The documents' examples run, and the commands and files that they name exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from tests import drawing
from tests.support import PUSH, SECRET, on_site

from hookline import App
from hookline.cli import commands
from hookline.testing import Serve

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

OTHER_WORDS = {
    "succeeded", "body_from", "waiting", "arrivals", "control", "cancelled",
}  # fmt: skip
"""What the walks put in code's type that is a state, a column or a table."""

EXAMPLES = {
    name: re.sub(r"^ {3}", "", code, flags=re.MULTILINE) if code.startswith("   ") else code
    for document in DOCUMENTS
    for name, code in re.findall(
        r"<!-- example: (\S+) -->\n *```python\n(.*?)\n *```", document.read_text(), flags=re.DOTALL
    )
}


TESTS = [
    (name, function, code)
    for document in DOCUMENTS
    for name, code in re.findall(r"<!-- test: (\S+) -->\n```python\n(.*?)\n```", document.read_text(), flags=re.DOTALL)
    for function in re.findall(r"^async def (test_\w+)", code, re.MULTILINE)
]


@pytest.mark.parametrize(("name", "function", "code"), TESTS, ids=[function for _, function, _ in TESTS])
async def test_a_guides_test_passes(hookline: Serve, name: str, function: str, code: str) -> None:
    space: dict[str, Any] = {"__name__": f"example_{name}"}
    exec(compile(EXAMPLES[name], name, "exec", dont_inherit=True), space)
    exec(compile(code, f"test of {name}", "exec", dont_inherit=True), space)
    await space[function](hookline)


def loaded(name: str) -> App:
    space: dict[str, Any] = {"__name__": f"example_{name}"}
    exec(compile(EXAMPLES[name], name, "exec", dont_inherit=True), space)
    app = space["app"]
    assert isinstance(app, App)
    return app


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_declares_jobs(name: str) -> None:
    assert list(loaded(name))


async def test_the_readmes_ten_lines_turn_a_push_into_a_finished_run(dsn: str) -> None:
    async with on_site(loaded("app.py"), dsn) as site, site.house.replica():
        answer = await site.push("guid-1", PUSH)
        await site.house.watch.ended(*answer.json()["runs"])
        run = await site.house.read(answer.json()["runs"][0])
    assert run["output"] == b'"9fceb02 arrived at octo/site"'


async def test_the_readmes_script_starts_a_job(dsn: str) -> None:
    async with on_site(loaded("app.py"), dsn) as site:
        answer = await site.client.post(
            "/webhooks/generic",
            headers={"Authorization": f"Bearer {SECRET}"},
            json={"job": "arrived", "input": {"after": "9fceb02"}},
        )
    assert answer.json()["status"] == "accepted"


async def test_the_guides_order_is_sold(dsn: str) -> None:
    async with on_site(loaded("steps.py"), dsn) as site, site.house.replica():
        run = await site.house.finish("sell", {"number": 7, "amount": 9.5})
    assert run["output"] == b'{"receipt":"receipt-7","parcel":70}'


def test_every_command_in_the_documents_exists() -> None:
    click = typer.main.get_command(commands)
    known = set(click.commands)  # type: ignore[attr-defined]
    named = {
        word
        for document in DOCUMENTS
        for word in re.findall(r"(?:^\$ (?:\S+=\S+ )*|`)hookline ([a-z]+)", document.read_text(), re.MULTILINE)
    }
    assert named
    assert named <= known


def test_every_module_in_the_map_exists_and_every_module_is_in_it() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    for folder, told in re.findall(r"^\| `(service/hookline/\w*/?|parsers/\w+/)` \| (.*) \|$", text, re.MULTILINE):
        modules = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__", "__main__"}
        named = set(re.findall(r"`(\w+)`", told))
        assert named <= modules, folder
        if not folder.endswith("cli/"):
            assert modules <= named, (folder, modules - named)
    for path in re.findall(r"`((?:web|ingress|engine|store|jobs|integration|cluster)/[\w./]+\.py)`", text):
        assert any((ROOT / place / path).exists() for place in ("service/hookline", "tests")), path


def test_every_link_between_documents_leads_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), (document.name, target)


def test_the_drawing_is_the_code() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert drawing.mermaid() in text


def test_every_function_of_the_walks_is_where_they_say() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    walks = text[text.index("## Five walks") : text.index("## What must hold")]
    known = {
        name
        for _, path in drawing.modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for name in (
            [node.name, *(f"{node.name}.{each.name}" for each in node.body if hasattr(each, "name"))]
            if isinstance(node, ast.ClassDef)
            else [node.name]
        )
    }
    named = set(re.findall(r"`((?:[A-Z]\w+\.)?_?[a-z]\w+|[A-Z]\w+)`", walks)) - OTHER_WORDS
    assert len(named) > 50
    assert named <= known, named - known
    for path, name in re.findall(r"`([a-z_/]+/\w+\.py)`\s+`([\w.]+)`", walks):
        text = (ROOT / "service" / "hookline" / path).read_text()
        assert re.search(rf"(class|def) {name.rpartition('.')[2]}\b", text), (path, name)
