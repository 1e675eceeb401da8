"""Loading: finds the application that is named, or those that are installed."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import entry_points
from pathlib import Path

from hookline.app import App
from hookline.errors import ConfigurationError


def load(reference: str | None) -> App:
    """The App at `module:attribute`, or without a reference all that are installed as `hookline.apps`.

    Raises:
        ConfigurationError: there is no such thing, it is not an App, or nothing is installed.
    """
    if reference is not None:
        named = _import(reference)
        named.check()
        return named
    found = App()
    for point in entry_points(group="hookline.apps"):
        found.include(_import(point.value))
    if not found.latest:
        raise ConfigurationError(
            "there is no application to run: name one, as in `hookline dev package.module:app`, or set HOOKLINE_APP"
        )
    found.check()
    return found


def _import(reference: str) -> App:
    module, _, attribute = reference.partition(":")
    if not module or not attribute:
        raise ConfigurationError(f"an application is named like `package.module:app`, not {reference!r}")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        app = getattr(importlib.import_module(module), attribute)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"cannot load application {reference}: {error!r}") from error
    if not isinstance(app, App):
        raise ConfigurationError(f"{reference} is not a hookline App but a {type(app).__name__}")
    return app
