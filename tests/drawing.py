"""Draws the code: `python -m tests.drawing` prints which folder imports which, and each module with its size."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
ROOTS = {"hookline": ROOT / "service" / "hookline", "hookline_parsers": ROOT / "parsers" / "hookline_parsers"}
VOCABULARY = "vocabulary"
"""What the modules are called together that anybody may import."""

ALONE = {"app", "client", "conformance", "learning", "loading", "parsing", "starts", "timetable", "embedded", "testing"}
"""Modules beside the folders that are no vocabulary."""


def modules() -> Iterator[tuple[str, Path]]:
    """Each module by its dotted name, with its file."""
    for name, root in ROOTS.items():
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join((name, *(part for part in parts if part != "__init__"))), path


def folder(module: str) -> str:
    """The part of the drawing that a module belongs to."""
    first, *rest = module.split(".")
    if first == "hookline_parsers":
        return "parsers"
    if not rest:
        return "hookline"
    if rest[0] == "__main__":
        return "cli"
    if (ROOTS["hookline"] / rest[0]).is_dir() or rest[0] in ALONE:
        return rest[0]
    return VOCABULARY


def imports(path: Path) -> Iterator[str]:
    """The modules of ours that a file imports, by their dotted names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def arrows() -> set[tuple[str, str]]:
    """Which part imports which."""
    names = {name for name, _ in modules()}
    found = set()
    for name, path in modules():
        for imported in imports(path):
            target = imported if imported in names else imported.rpartition(".")[0]
            if target in names and folder(target) not in (folder(name), "hookline") and folder(name) != "hookline":
                found.add((folder(name), folder(target)))
    return found


def mermaid() -> str:
    """The drawing, without the arrows to the vocabulary, which all have."""
    lines = [f"    {one} --> {other}" for one, other in sorted(arrows()) if other != VOCABULARY]
    return "\n".join(["flowchart TD", *lines])


def main() -> None:
    """Print the drawing, and the modules with their sizes, by part."""
    print(mermaid())
    sizes: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for name, path in modules():
        if lines := len(path.read_text().splitlines()):
            sizes[folder(name)].append((lines, name))
    every = sorted(lines for part in sizes.values() for lines, _ in part)
    print(f"\n{len(every)} modules, {sum(every)} lines, median {median(every):.0f}, largest {every[-1]}\n")
    for part, found in sorted(sizes.items()):
        print(f"{part}: {sum(lines for lines, _ in found)} lines")
        for lines, name in sorted(found, reverse=True):
            print(f"  {lines:4} {name}")


if __name__ == "__main__":
    main()
