"""`hookline init`: makes a project that runs at once."""

from __future__ import annotations

import keyword
import re
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from hookline.errors import ConfigurationError

NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
DISTRIBUTION, PACKAGE = "my-project", "my_project"
"""What the template is called, which stands there wherever the project's name is to be."""

SECRET = re.compile(r"^(HOOKLINE_SHOP_SECRETS|POSTGRES_PASSWORD)=$", re.MULTILINE)
TOKEN = re.compile(r"^(HOOKLINE_API_TOKENS|HOOKLINE_TOKEN)=$", re.MULTILINE)


def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where; made if it is not there.")] = Path(),
    name: Annotated[str | None, typer.Option(help="The project's name; asked for, or else the directory's.")] = None,
) -> None:
    """Make a project: an app with jobs, a parser, tests, settings with made-up secrets, and a compose file.

    Nothing is overwritten.
    """
    usual = directory.resolve().name.lower().replace(" ", "-")
    if name is None:
        name = str(typer.prompt("Name of the project", default=usual)) if sys.stdin.isatty() else usual
    _check(name)
    files = rendered(name)
    if there := [path for path in files if (directory / path).exists()]:
        raise ConfigurationError(f"{directory / there[0]} is there already, so nothing was made: name a new directory")
    for path, content in files.items():
        _write(directory / path, content)
    where = "" if directory.resolve() == Path.cwd() else f"cd {directory} && "
    typer.echo(f"{name} is made. Next:\n\n  {where}pip install -e '.[dev]' && hookline dev\n\nREADME.md tells more.")


def rendered(name: str) -> dict[Path, str]:
    """The files of a project called `name`, with secrets of its own in `.env`."""
    package = name.replace("-", "_")
    root = _template()
    files = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            target = Path(str(path.relative_to(root)).replace(PACKAGE, package))
            files[target] = path.read_text().replace(PACKAGE, package).replace(DISTRIBUTION, name)
    token = secrets.token_hex(32)
    settings = SECRET.sub(lambda found: f"{found[1]}={secrets.token_hex(32)}", files[Path(".env.example")])
    _, _, settings = settings.partition("\n")
    return files | {Path(".env"): TOKEN.sub(lambda found: f"{found[1]}={token}", settings)}


def _check(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"a project's name is small letters, digits, - and _, not {name[:50]!r}; say --name")
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or package in {*sys.stdlib_module_names, "hookline", "hookline_parsers", "tests"}:
        raise ConfigurationError(f"{name} is the name of another module of Python: say another --name")


def _write(path: Path, content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            if path.name == ".env":
                path.chmod(0o600)
            file.write(content)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def _template() -> Path:
    """The packaged template, else, in an editable install, the repository's."""
    package = Path(__file__).parent.parent
    packaged = package / "template"
    return packaged if packaged.is_dir() else package.parent.parent / "template"
