"""A tree of steps: what follows each of them when it succeeds, and what when it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

Action = Callable[..., Any] | str
"""A step, or the name under which an application has registered one."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A step and its branches.

    Args:
        action: the step.
        success: what follows if it succeeds; nothing, unless said otherwise.
        failure: what follows if it fails.
    """

    action: Action
    success: Tree | None = None
    failure: Tree | None = None

    def then(self, *following: Tree | Action) -> Tree:
        """This tree with `following`, one after the other, behind the success of its first step."""
        if not following:
            return self
        first, *rest = following
        branch = grown(first)
        if rest:
            branch = _extended(branch, Tree.then(grown(rest[0]), *rest[1:]))
        return replace(self, success=branch)

    def otherwise(self, following: Tree | Action) -> Tree:
        """This tree with `following` behind the failure of its first step."""
        return replace(self, failure=grown(following))

    def __iter__(self) -> Iterator[Tree]:
        """Each step of it with its branches, the first first."""
        yield self
        for branch in (self.success, self.failure):
            if branch is not None:
                yield from branch


def grown(given: Tree | Action) -> Tree:
    """`given` as a tree."""
    return given if isinstance(given, Tree) else Tree(given)


def _extended(tree: Tree, more: Tree) -> Tree:
    """`tree` with `more` behind its last success."""
    return replace(tree, success=more if tree.success is None else _extended(tree.success, more))
