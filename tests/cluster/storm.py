"""A storm of webhooks: what is sent, the jobs that it starts, and who sends it until it is taken."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any

from tests.cluster.processes import SECRET, Process

from hookline import App, Context, Event, step
from hookline_parsers import github

app = App()

PARALLEL = 24
"""Requests that are under way at once."""

LATER = 2_000
"""Sends that may lie between two of the same delivery."""


@app.job(on=github.push(branches=["main"]))
async def build(ctx: Context, event: Event) -> str:
    return await ctx.step(remember, event.data["after"])


@app.job(on=github.push(branches=["main"], repository="octo/told-*"), scope="{repository}")
async def tell(ctx: Context, event: Event) -> None: ...


@app.job(on=github.issues(), scope="{absent}")
async def broken(ctx: Context, event: Event) -> None: ...


@step
def remember(commit: str) -> str:
    return commit


@dataclass(frozen=True)
class Delivery:
    """One webhook, which may be sent several times.

    Args:
        guid: under which it is to be stored, also if nobody can read it.
        event: in GitHub's words.
        status: what it becomes, if no other body came under its guid before.
        jobs: what it starts then.
    """

    guid: str
    event: str
    body: bytes
    status: str
    jobs: tuple[str, ...] = ()

    @property
    def request(self) -> bytes:
        """It as it goes over the wire."""
        headers = github.parser.headers_for(self.event, self.guid, self.body)
        headers |= github.parser.scheme.sign(SECRET.encode(), self.body, {})
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST /webhooks/github HTTP/1.1\r\nHost: storm\r\n{told}Content-Length: {len(self.body)}\r\n\r\n"
        return head.encode() + self.body

    @property
    def identity(self) -> tuple[str, bytes]:
        """What there is to be once."""
        return self.guid, sha256(self.body).digest()


def storm(count: int, chance: Random) -> list[Delivery]:
    """`count` deliveries in the order in which they are sent, up to three times each, some under another's key."""
    sent: list[tuple[float, Delivery]] = []
    for number in range(count):
        bodies = [_delivery(f"guid-{number}", chance)]
        if chance.random() < 0.1:
            bodies.append(_delivery(f"guid-{number}", chance))
        for each in bodies:
            times = chance.choice((1, 1, 2, 3))
            sent += [(number + chance.choice((0, 0, LATER)) * chance.random(), each) for _ in range(times)]
    return [each for _, each in sorted(sent, key=lambda at: at[0])]


def _delivery(guid: str, chance: Random) -> Delivery:
    filler = chance.randbytes(chance.randint(400, 10_000)).hex()
    kind = chance.choice(("site", "site", "site", "told", "dev", "watch", "issues", "half"))
    repository = f"octo/told-{chance.randrange(20)}" if kind == "told" else "octo/site"
    body = push("dev" if kind == "dev" else "main", repository, filler[:40], filler)
    match kind:
        case "site":
            return Delivery(guid, "push", body, "accepted", ("build",))
        case "told":
            return Delivery(guid, "push", body, "accepted", ("build", "tell"))
        case "issues":
            return Delivery(guid, "issues", body, "quarantined")
        case "half":
            return Delivery(guid, "push", body[:-1], "quarantined")
    return Delivery(guid, "push" if kind == "dev" else kind, body, "ignored")


def push(branch: str, repository: str, commit: str, filler: str = "") -> bytes:
    """The body of a push."""
    return json.dumps({
        "ref": f"refs/heads/{branch}",
        "after": commit,
        "repository": {"full_name": repository},
        "filler": filler,
    }).encode()  # fmt: skip


class Sender:
    """Sends deliveries to whichever replicas there are, each until it is told 2xx, and keeps what it was told.

    Attributes:
        replicas: those that are sent to, in turn; whoever kills one takes it out.
    """

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self.replicas: list[Process] = []
        self.told: dict[tuple[str, bytes], list[dict[str, Any]]] = defaultdict(list)
        self.broken = 0
        self._left = iter(deliveries)
        self._answers = 0
        self._turn = 0
        self._changed = asyncio.Condition()

    async def send(self) -> None:
        """Return once everything was answered 2xx."""
        await asyncio.gather(*(self._send(self._left) for _ in range(PARALLEL)))

    async def answered(self, count: int) -> None:
        """Return once so many sends were answered 2xx."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._answers >= count)

    async def joined(self, replica: Process) -> None:
        """Send to `replica`, too."""
        async with self._changed:
            self.replicas.append(replica)
            self._changed.notify_all()

    async def _send(self, left: Iterator[Delivery]) -> None:
        lines: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        for delivery in left:
            while (told := await self._answer(delivery, lines)) is None:
                self.broken += 1
            self.told[delivery.identity].append(told)
            async with self._changed:
                self._answers += 1
                self._changed.notify_all()
        for _, writer in lines.values():
            writer.close()

    async def _answer(
        self, delivery: Delivery, lines: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    ) -> dict[str, Any] | None:
        """What a replica says to `delivery`; `None` if it is not 2xx, or if it died over it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.replicas)
        self._turn += 1
        url = self.replicas[self._turn % len(self.replicas)].url
        try:
            if url not in lines:
                lines[url] = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            reader, writer = lines[url]
            writer.write(delivery.request)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        except (OSError, asyncio.IncompleteReadError):
            if url in lines:
                lines.pop(url)[1].close()
            return None
        assert head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 503")), head + body
        told: dict[str, Any] | None = json.loads(body) if head.startswith(b"HTTP/1.1 2") else None
        return told
