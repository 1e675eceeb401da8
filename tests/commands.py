"""The command line's page, as `docs/cli.md` has it: made of the commands themselves.

`python -m tests.commands` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from hookline.cli import commands

HEAD = """# The command line

Made of the commands themselves; `hookline COMMAND --help` tells the same.

A command that asks a service asks the one at `--url`, else `HOOKLINE_URL`, else the one on this machine at
`HOOKLINE_PORT`, with `--token`, else `HOOKLINE_TOKEN`. What only looks can do without a service: with `--database` it
asks the database at `HOOKLINE_DATABASE_URL`, or the embedded one, by the same routes. With `--json` a command prints
one JSON value, as the API answers it; what goes on (`tail`, `watch`, `backtest`), and what does something with several
(runs, deliveries, definitions), prints one a line.

A table fits its terminal: no id is cut, and of what does not fit the least important is left out. A pipe or a file gets
all of it. There is no colour where there is no terminal, or with `NO_COLOR`.

| exit code | what it says |
| --- | --- |
| 0 | done; what was asked about is well |
| 1 | no: it failed, is not there, was not so in time, or a check found something |
| 2 | the command, its input or the settings cannot be used as they are |
| 3 | the service or Postgres does not answer: the same may succeed later |
| 4 | refused: who asks may not, or it cannot be done to what is there |
| 130 | Ctrl-C |

What is wrong is told in one line on standard error. `runs watch` ends as its run does: 0 if it succeeded, else 1.
`doctor` ends with 1 if there is a problem, and with `--strict` for warnings, too.

`hookline --version` says which it is. `hookline --install-completion` teaches bash, zsh and fish to complete commands,
options, and, where a service answers at once, the names of jobs, sources, schedules and definitions, and the ids of
runs, deliveries and workers.
"""

COMMON = {"--url", "--token", "--json", "--database", "--help"}
EVERYWHERE = {"--version", "--install-completion", "--show-completion", "--help"}


def walk(command: Any = None, path: tuple[str, ...] = ("hookline",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    command = typer.main.get_command(commands) if command is None else command
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name in sorted(inner):
        yield from walk(inner[name], (*path, name))


def options(command: Any) -> dict[str, Any]:
    """Its options, by the names that they are called by."""
    return {
        each.opts[0]: each for each in command.params
        if each.param_type_name == "option" and not getattr(each, "hidden", False)
    }  # fmt: skip


def markdown() -> str:
    """The page."""
    lines = [HEAD]
    for path, command in walk():
        names = [each.metavar or each.name.upper() for each in command.params if each.param_type_name == "argument"]
        lines.append(f"## {' '.join((*path, *names))}\n")
        lines.append(f"{' '.join(command.help.split())}\n")
        found = options(command)
        for name, option in found.items():
            if name not in COMMON:
                called = ", ".join(f"`{each}`" for each in (*option.opts, *option.secondary_opts))
                lines.append(f"- {called}{_about(option)}")
        if common := [f"`{name}`" for name in found if name in COMMON - {"--help"}]:
            lines.append(f"- {', '.join(common)}")
        if lines[-1].startswith("- "):
            lines.append("")
    return "\n".join(lines)


def _about(option: Any) -> str:
    return f": {option.help}" if option.help else ""


if __name__ == "__main__":
    print(markdown(), end="")
