"""Large deliveries of each parser, in ordinary and hostile shapes: how much of them is held, and in what parts."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from urllib.parse import unquote_to_bytes
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.benchmarks.shapes import CARRIERS, SHAPES, Large, all_percent, batch, large

from hookline import App, Context, Event, Pattern
from hookline.codec import uuid7
from hookline.errors import Rejected
from hookline.ingress.examination import examine
from hookline.ingress.parser import find
from hookline.ingress.schemes import Received
from hookline.ingress.signatures import as_headers
from hookline.ingress.sources import Source
from hookline.payloads import OPEN
from hookline.store import repeats
from hookline.store.delivery import GIVEN, NewDelivery
from hookline.store.large import PART, parts
from hookline_parsers.payload import form

SIZE = 2_000_000

app = App()


@app.job(on=Pattern(["*"], {"more.no": ["*"]}))
async def never(ctx: Context, event: Event) -> None: ...


@app.job(on=Pattern(["*"]), scope="all")
async def always(ctx: Context, event: Event) -> None: ...


def examined(what: Large, headers: dict[str, str] | None = None) -> NewDelivery:
    parser = find(what.sender.parser)
    source = Source("s", parser, parser.scheme, (what.sender.secret.encode(),))
    return examine(source, Received(as_headers(headers or what.signed("d-1")), what.body), app.latest)[0]


def at_rest(new: NewDelivery) -> NewDelivery:
    """As it is handed to Postgres."""
    return replace(new, rest=OPEN.body_at_rest(new.body))


def held(what: Large) -> tuple[NewDelivery, int]:
    """The delivery that is made of it, and the bytes that were held at once besides its body until it was sent on."""
    headers = what.signed("d-1")
    tracemalloc.start()
    try:
        new = at_rest(examined(what, headers))
        sizes = [len(part) for part in parts(new)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert max(sizes) <= 2 * PART
    assert sum(sizes) > len(new.rest or b"")
    assert new.body is what.body
    return new, peak


@pytest.mark.parametrize(
    ("carrier", "shape"),
    [(carrier, shape) for carrier in CARRIERS for shape in SHAPES if shape != "tiny objects" or carrier == "github"],
)
def test_of_a_large_delivery_little_more_is_held_than_itself_and_its_data(carrier: str, shape: str) -> None:
    what = large(carrier, shape, SIZE if shape != "tiny objects" else SIZE // 4)  # which take their time
    try:
        _, peak = held(what)
    except Rejected:  # which tells its moment in what nobody can read
        assert carrier == "linear"
        return
    assert peak < 3.5 * len(what.body), peak / len(what.body)


def test_of_an_ordinary_payload_no_copy_is_held_and_of_what_must_be_decoded_one_besides_its_parts() -> None:
    for what, most in ((large("github", "ordinary", SIZE), 0.8), (all_percent(SIZE), 1.5)):
        new, peak = held(what)
        assert new.status == "accepted"
        assert peak < most * len(what.body), peak / len(what.body)


def test_data_that_are_not_the_body_are_held_once() -> None:
    for carrier in ("github, form", "cloudevents, binary", "cloudevents, batch"):
        new = examined(large(carrier, "ordinary", SIZE))
        (run,) = new.runs
        assert new.events is not None
        (data,) = [part for part in new.events if part is run.input]
        assert len(data) > SIZE / 3


async def test_who_sends_a_batch_again_waits_no_longer_for_each_of_its_runs_the_more_there_are() -> None:
    class There:
        async def fetch(self, *_: object) -> list[dict[str, UUID]]:
            return [{"delivery_id": delivery, "id": each} for each in ids]

    delivery, ids = uuid7(), [uuid7() for _ in range(100_000)]
    began = time.process_time()
    assert await repeats._started(There(), [delivery]) == {delivery: tuple(ids)}  # type: ignore[arg-type]
    assert time.process_time() - began < 3, "as it would take twenty if all were copied for each"


def test_a_batch_has_so_many_events_and_no_more() -> None:
    many, too_many = examined(batch(10_000, SIZE)), examined(batch(10_001, SIZE))
    assert (many.status, len(many.runs)) == ("accepted", 10_000)
    assert too_many.status == "quarantined"
    assert "at most 10000 are taken" in (too_many.reason or "")


def test_what_is_stored_is_told_as_copy_takes_it() -> None:
    new = at_rest(examined(large("cloudevents, batch", "ordinary", SIZE)))
    told, at = b"".join(parts(new)), 19 + 2
    found: list[bytes | None] = []
    assert told.startswith(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    for _ in range(*struct.unpack("!h", told[19:21])):
        (size,) = struct.unpack("!i", told[at : at + 4])
        found.append(None if size < 0 else told[at + 4 : at + 4 + size])
        at += 4 + max(size, 0)
    assert told[at:] == b"\xff\xff"
    by_name = dict(zip(GIVEN.split(", "), found, strict=True))
    assert (by_name["id"], by_name["conflict_of"], by_name["body"]) == (new.id.bytes, None, new.rest)
    assert OPEN.opened_bytes(by_name["body"] or b"") == new.body
    (event,) = json.loads(by_name["events"] or b"")
    assert event["data"] == json.loads(new.body)[0]


@given(
    st.lists(st.binary(max_size=12) | st.sampled_from([b"%41", b"%e2%82%ac", b"%", b"%4", b"%zz", b"=", b"+", b"\n"]))
)
def test_what_is_percent_encoded_is_decoded_as_the_library_does(written: list[bytes]) -> None:
    value = b"".join(written).replace(b"&", b"")
    if value.isascii():
        assert form(b"a=" + value) == {"a": unquote_to_bytes(value.replace(b"+", b" "))}


def test_a_part_of_a_form_ends_in_no_percent_sign() -> None:
    for shift in range(4):
        assert form(b"a=" + b"x" * shift + b"%41" * PART)["a"] == b"x" * shift + b"A" * PART
