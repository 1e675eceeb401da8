"""The person: what a provider says of somebody who has logged in there, and in which role that lets them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from hookline.web.access import ROLES, Principal, Role

Claims = Mapping[str, Any]

LONGEST_NAME = 200


class Rule(Struct, frozen=True):
    """Whoever has this value in this claim has this role.

    Args:
        claim: the name of one; `email` and `domain` are those of an address that the provider has verified.
    """

    claim: str
    value: str
    role: Role


def role_of(claims: Claims, rules: Sequence[Rule]) -> Role | None:
    """The highest role that a rule gives; `None` if none fits."""
    fitting = [each.role for each in rules if each.value in _values(claims, each.claim)]
    return max(fitting, key=ROLES.index, default=None)


def name_of(claims: Claims) -> str:
    """What the audit calls the person: the address that was verified, else what the provider never gives to another."""
    for name in (_email(claims), claims["sub"]):
        if name is not None and len(name) <= LONGEST_NAME and name.isprintable():
            return str(name)
    return ascii(claims["sub"])[:LONGEST_NAME]


def principal(claims: Claims, rules: Sequence[Rule]) -> Principal | None:
    """Who the person is here; `None` if no rule lets them in."""
    role = role_of(claims, rules)
    return None if role is None else Principal(name_of(claims), role)


def _values(claims: Claims, claim: str) -> Iterator[str]:
    email = _email(claims)
    match claim:
        case "email":
            yield from () if email is None else (email,)
        case "domain":
            yield from () if email is None else (email.rpartition("@")[2],)
        case _:
            found = claims.get(claim)
            yield from (each for each in (found if isinstance(found, list) else [found]) if isinstance(each, str))


def _email(claims: Claims) -> str | None:
    """The address, in lower case, if the provider has verified it: what anybody can claim lets nobody in."""
    email = claims.get("email")
    is_verified = claims.get("email_verified") in (True, "true")
    return email.lower() if is_verified and isinstance(email, str) and email.count("@") == 1 else None
