"""`/api/sources`: the endpoints for webhooks, those that are kept in Postgres, and rotating their secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from hookline import telemetry
from hookline.errors import ConfigurationError, Unsealable
from hookline.ingress.parser import find
from hookline.ingress.register import Entry, Register
from hookline.ingress.schemes import Scheme, fingerprint
from hookline.ingress.secrets import generated
from hookline.ingress.sources import Source, check
from hookline.source_settings import NAME, SourceSettings, read_options
from hookline.store import sources
from hookline.store.database import Connection, Database, transaction
from hookline.store.sources import MOST_SECRETS, NewSecret, TooManySecrets, about
from hookline.web import answers
from hookline.web.faults import Fault
from hookline.web.negotiation import check_unchanged, tag
from hookline.web.problems import Problem

DAY = 86_400.0
LONGEST_OVERLAP = 30 * DAY

Secret = Annotated[str, Meta(min_length=1, max_length=4096)]


class Declaration(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `PUT /api/sources/{name}`: what a source is; see `SourceOptions`.

    Args:
        secrets: those that are active from now on, and no others; else they stay, and a new source gets one.
    """

    parser: str | None = None
    secrets: Annotated[list[Secret], Meta(min_length=1, max_length=MOST_SECRETS)] | None = None
    unsigned: bool = False
    wait: float | None = None
    max_body: int | None = None
    max_in_flight: int | None = None
    rate: str | None = None
    allow: list[str] = []


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /api/sources/{name}/rotate`.

    Args:
        secret: the new one; one is made up unless it is given.
        overlap: seconds for which the others are active still.
    """

    secret: Secret | None = None
    overlap: Annotated[float, Meta(ge=0, le=LONGEST_OVERLAP)] = DAY


class Sources:
    """The routes of sources.

    Args:
        at: where outsiders reach the service; empty if that is not known.
    """

    def __init__(self, database: Database, register: Register, at: str) -> None:
        self._database = database
        self._register = register
        self._seal = register.seal
        self._at = at.rstrip("/")

    async def list(self, _: Request) -> Response:
        """`GET /api/sources`: each, where it is declared, and its secrets by their fingerprints."""
        fixed = [self._told_fixed(each) for each in self._register.fixed.values()]
        kept = [self._told_kept(each) for each in await self._register.kept()]
        return answers.json({"sources": sorted(fixed + kept, key=lambda told: (told["name"], told["origin"] == "api"))})

    async def show(self, request: Request) -> Response:
        """`GET /api/sources/{name}`: one of them, the one that answers."""
        return answers.json(await self._told(request.path_params["name"]))

    async def put(self, request: Request, body: Declaration) -> Response:
        """`PUT /api/sources/{name}`: 201 if it is new, else 200; a secret that was made up is told this once."""
        name = request.path_params["name"]
        self._check_free(name)
        given, scheme = _read(name, body)
        secrets = spare = None
        if not given.unsigned:
            self._check_sealing()
            spare = generated(scheme) if body.secrets is None else None
            secrets = None if body.secrets is None else self._sealed(name, scheme, body.secrets)
        elif body.secrets is not None:
            raise Problem(Fault.INVALID_BODY, "an unsigned source has no secrets: give one of the two")
        async with self._database.session() as connection, transaction(connection):
            await self._check_unchanged(request, connection, name)
            new, used = await sources.save(
                connection,
                given,
                () if given.unsigned else secrets,
                None if spare is None else self._sealed(name, scheme, [spare])[0],
            )
        await self._database.afterwards(self._register.look_again)
        told = await self._told(name)
        telemetry.log.info("source.saved", source=name, new=new, keys=[each["id"] for each in told["secrets"]])
        headers = {"ETag": tag(msgspec.json.encode(told))}
        return answers.json(told | ({"secret": spare} if used else {}), 201 if new else 200, headers)

    async def rotate(self, request: Request, body: Rotation) -> Response:
        """`POST /api/sources/{name}/rotate`: one more secret; the others end after `overlap`.

        A secret that was made up is told this once.
        """
        name = request.path_params["name"]
        self._check_free(name)
        self._check_sealing()
        scheme = await self._scheme(name)
        secret = body.secret or generated(scheme)
        (sealed,) = self._sealed(name, scheme, [secret])
        async with self._database.session() as connection:
            try:
                await sources.rotate(connection, name, sealed, body.overlap)
            except LookupError:
                raise Problem(Fault.UNKNOWN_SOURCE, f"there is no such source {name[:50]!r}") from None
            except TooManySecrets:
                raise Problem(
                    Fault.TOO_MANY_SECRETS,
                    f"{MOST_SECRETS} secrets are active already: rotate with an overlap that ends them sooner",
                ) from None
        await self._database.afterwards(self._register.look_again)
        told = await self._told(name)
        telemetry.log.info("source.rotated", source=name, key=sealed.id, overlap=body.overlap)
        return answers.json(told | ({} if body.secret else {"secret": secret}))

    async def delete(self, request: Request) -> Response:
        """`DELETE /api/sources/{name}`: its senders are answered 404 from now on; its deliveries stay."""
        name = request.path_params["name"]
        async with self._database.session() as connection:
            removed = "\0" not in name and await sources.remove(connection, name)
        if not removed:
            self._check_free(name)
            raise Problem(Fault.UNKNOWN_SOURCE, f"there is no such source {name[:50]!r}")
        await self._database.afterwards(self._register.look_again)
        telemetry.log.info("source.removed", source=name)
        return answers.json({"name": name, "deleted": True})

    async def reseal(self, _: Request) -> Response:
        """`POST /api/sources/reseal`: encrypt every secret by the first key, so that the others can be given up."""
        self._check_sealing()
        unreadable = []

        def again(sealed: bytes, about: str) -> bytes | None:
            if self._seal.is_first(sealed):
                return None
            try:
                return self._seal.seal(self._seal.open(sealed, about), about)
            except Unsealable as error:
                unreadable.append(f"{about}: {error}")
                return None

        async with self._database.session() as connection:
            changed = await sources.reseal(connection, again)
        telemetry.log.info("sources.resealed", changed=changed, unreadable=unreadable)
        return answers.json({"resealed": changed, "unreadable": unreadable})

    async def _check_unchanged(self, request: Request, connection: Connection, name: str) -> None:
        await sources.lock(connection, name)
        entry = await self._register.entry(connection, name)
        check_unchanged(request, None if entry is None else tag(msgspec.json.encode(self._told_kept(entry))))

    def _check_free(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise Problem(
                Fault.INVALID_PARAMETER, f"a source's name is up to 64 of a-z, 0-9, _ and -, not {name[:80]!r}"
            )
        if (fixed := self._register.fixed.get(name)) is not None:
            raise Problem(Fault.SOURCE_FIXED, f"source {name} is declared in the {fixed.origin}, and is changed there")

    def _check_sealing(self) -> None:
        if not self._seal:
            raise Problem(
                Fault.NO_ENCRYPTION_KEY,
                "no secret is kept unencrypted: set HOOKLINE_ENCRYPTION_KEYS, or declare it in settings",
            )

    async def _scheme(self, name: str) -> Scheme:
        async with self._database.session() as connection:
            entry = await self._register.entry(connection, name)
        if entry is None:
            raise Problem(Fault.UNKNOWN_SOURCE, f"there is no such source {name[:50]!r}")
        if entry.kept.unsigned:
            raise Problem(Fault.SOURCE_UNSIGNED, f"source {name} is unsigned, so it has no secret to rotate")
        return _scheme(entry.kept.parser)

    def _sealed(self, name: str, scheme: Scheme, secrets: Sequence[str]) -> Sequence[NewSecret]:
        raw = [each.encode() for each in dict.fromkeys(secrets)]
        try:
            check(scheme, raw)
        except ValueError as error:
            raise Problem(Fault.INVALID_BODY, str(error)) from None
        ids = [fingerprint(each) for each in raw]
        return [NewSecret(id_, self._seal.seal(each, about(name, id_))) for id_, each in zip(ids, raw, strict=True)]

    async def _told(self, name: str) -> dict[str, Any]:
        if (fixed := self._register.fixed.get(name)) is not None:
            return self._told_fixed(fixed)
        async with self._database.session() as connection:
            entry = await self._register.entry(connection, name)
        if entry is not None:
            return self._told_kept(entry)
        raise Problem(Fault.UNKNOWN_SOURCE, f"there is no such source {name[:50]!r}")

    def _told_fixed(self, source: Source) -> dict[str, Any]:
        assert source.declared is not None  # noqa: S101 - it is fixed because it was declared
        limits = source.quota.limits
        options = {
            "wait": source.wait,
            "max_body": limits.max_body,
            "max_in_flight": limits.max_in_flight,
            "rate": None if limits.rate is None else str(limits.rate),
            "allow": [str(each) for each in limits.allow],
        }
        ids = [{"id": fingerprint(each), "added_at": None, "expires_at": None} for each in source.secrets]
        told = self._common(source.name, source.origin, source.declared.parser, source.declared.unsigned)
        return told | {"secrets": ids, "secrets_from": source.declared.secrets_from} | options | {"problem": None}

    def _told_kept(self, entry: Entry) -> dict[str, Any]:
        kept = entry.kept
        ids = [{"id": each.id, "added_at": each.added_at, "expires_at": each.expires_at} for each in kept.secrets]
        told = self._common(kept.name, "api", kept.parser, kept.unsigned)
        return told | {"secrets": ids, "secrets_from": ()} | dict(kept.options) | {"problem": entry.problem}

    def _common(self, name: str, origin: str, parser: str, unsigned: bool) -> dict[str, Any]:
        url = f"{self._at}/webhooks/{name}"
        return {"name": name, "origin": origin, "url": url, "parser": parser, "unsigned": unsigned}


def _read(name: str, wanted: Declaration) -> tuple[SourceSettings, Scheme]:
    """What is declared, and how its senders prove themselves; raises `Problem` 422."""
    parser = wanted.parser or name
    try:
        wait, limits = read_options(msgspec.structs.asdict(wanted), str)
        scheme = find(parser).scheme
    except ConfigurationError as error:
        raise Problem(Fault.INVALID_BODY, str(error)) from None
    return SourceSettings(name, parser, (), wanted.unsigned, wait, limits=limits, origin="api"), scheme


def _scheme(parser: str) -> Scheme:
    try:
        return find(parser).scheme
    except ConfigurationError as error:
        raise Problem(Fault.SOURCE_UNUSABLE, str(error)) from None
