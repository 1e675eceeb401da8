"""Stream: what a service tells as it happens, read in a thread, and gone on with where it was cut off."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from hookline.cli.client import Client
from hookline.cli.exits import AWAY
from hookline.client import Refused, told

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0


class Happened(Struct, frozen=True):
    """One event of the stream: its kind, and what it tells; of kind `lost`, why nothing is heard until it is `open`."""

    kind: str
    data: dict[str, Any]


class Feed:
    """The events at `path`, as they come; what is lost with a connection is told by the next one.

    Args:
        query: which are wanted.
    """

    def __init__(self, client: Client, path: str, **query: object) -> None:
        self._client = client
        self._path = path
        self._query = query
        self._come: queue.SimpleQueue[Happened | Refused] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, timeout: float | None) -> Happened | None:
        """The next event, or `None` after `timeout` seconds; raises `Refused` when no more can come."""
        try:
            found = self._come.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(found, Refused):
            self._come.put(found)  # whoever asks again is told again
            raise found
        return found

    def some(self, timeout: float | None) -> list[Happened]:
        """All that has come by now, waiting up to `timeout` seconds for the first; raises as `next`."""
        first = self.next(timeout)
        found = [] if first is None else [first]
        while not self._come.empty():
            if (more := self.next(0)) is not None:
                found.append(more)
        return found

    def _read(self) -> None:
        last, pause, opened = None, FIRST_PAUSE, False
        while True:
            try:
                with self._client.streaming(self._path, last, **self._query) as response:
                    if response.status_code == 204:
                        return self._come.put(Refused("the stream has ended", 204))
                    if response.is_error:
                        response.read()
                        told(self._client.url, response)
                    opened = True
                    self._come.put(Happened("open", {}))
                    for kind, data, id_ in frames(response.iter_lines()):
                        last, pause = id_ or last, FIRST_PAUSE
                        if kind:
                            self._come.put(Happened(kind, data))
            except Refused as refused:
                lost = refused
            except httpx.HTTPError as error:
                lost = Refused(f"{self._client.url} does not answer: {str(error) or type(error).__name__}")
            else:
                lost = Refused(f"{self._client.url} has ended the stream")
            if not opened or lost.status not in AWAY:
                return self._come.put(lost)
            self._come.put(Happened("lost", {"reason": str(lost)}))
            time.sleep(pause)  # a service that is away tells nobody of its return
            pause = min(2 * pause, LONGEST_PAUSE)


def frames(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any], str | None]]:
    """The kind, the data and the id of each event in the lines of a stream; a sign of life has an id only."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        data = fields.get("data")
        yield fields.get("event", ""), {} if data is None else msgspec.json.decode(data), fields.get("id")
        fields = {}
