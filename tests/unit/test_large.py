"""Large deliveries of each parser, in ordinary and hostile shapes: how much of them is held, and in what parts."""

from __future__ import annotations

import json
import struct
import tracemalloc
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.benchmarks.shapes import Large, deliveries

from hookline import App, Context, Event, Pattern
from hookline.ingress.intake import examine
from hookline.ingress.parser import find
from hookline.ingress.schemes import Received
from hookline.ingress.signatures import as_headers
from hookline.ingress.sources import Source
from hookline.store.delivery import GIVEN, NewDelivery
from hookline.store.large import PART, parts
from hookline_parsers.payload import form

SIZE = 600_000
DELIVERIES = {f"{each.carrier}: {each.shape}": each for each in deliveries(SIZE)}

app = App()


@app.job(on=Pattern(["*"], {"more.no": ["*"]}))
async def never(ctx: Context, event: Event) -> None: ...


@app.job(on=Pattern(["*"]), scope="all")
async def always(ctx: Context, event: Event) -> None: ...


def examined(large: Large, headers: dict[str, str]) -> NewDelivery:
    parser = find(large.sender.parser)
    source = Source("s", parser, parser.scheme, (large.sender.secret.encode(),))
    return examine(source, Received(as_headers(headers), large.body), app.latest)[0]


@pytest.mark.parametrize("name", [name for name in DELIVERIES if not name.endswith("events")])
def test_of_a_large_delivery_little_more_is_held_than_itself_and_its_data(name: str) -> None:
    large = DELIVERIES[name]
    headers = large.signed("d-1")
    tracemalloc.start()
    try:
        new = examined(large, headers)
        sizes = [len(part) for part in parts(new)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(large.body) + 500_000, peak / len(large.body)  # besides the body itself
    assert max(sizes) <= 2 * PART
    assert sum(sizes) > len(large.body)
    assert new.body is large.body


def test_an_ordinary_large_payload_is_held_once() -> None:
    large = DELIVERIES["github: ordinary"]
    headers = large.signed("d-1")
    tracemalloc.start()
    try:
        new = examined(large, headers)
        assert new.status == "accepted"
        assert sum(len(part) for part in parts(new)) > len(large.body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(large.body)


def test_data_that_are_not_the_body_are_held_once() -> None:
    for name in ("github, form: ordinary", "cloudevents, binary: ordinary", "cloudevents, batch: ordinary"):
        large = DELIVERIES[name]
        new = examined(large, large.signed("d-1"))
        (run,) = new.runs
        assert new.events is not None
        (data,) = [part for part in new.events if part is run.input]
        assert len(data) > SIZE / 3


def test_a_batch_has_so_many_events_and_no_more() -> None:
    many, too_many = (
        examined(each, each.signed("d-1")) for each in DELIVERIES.values() if each.shape.endswith("events")
    )
    assert (many.status, len(many.runs)) == ("accepted", 10_000)
    assert too_many.status == "quarantined"
    assert "at most 10000 are taken" in (too_many.reason or "")


def test_what_is_stored_is_told_as_copy_takes_it() -> None:
    new = examined(DELIVERIES["cloudevents, batch: ordinary"], DELIVERIES["cloudevents, batch: ordinary"].signed("d-1"))
    told, at = b"".join(parts(new)), 19 + 2
    found: list[bytes | None] = []
    assert told.startswith(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    for _ in range(*struct.unpack("!h", told[19:21])):
        (size,) = struct.unpack("!i", told[at : at + 4])
        found.append(None if size < 0 else told[at + 4 : at + 4 + size])
        at += 4 + max(size, 0)
    assert told[at:] == b"\xff\xff"
    by_name = dict(zip(GIVEN.split(", "), found, strict=True))
    assert (by_name["id"], by_name["conflict_of"], by_name["body"]) == (new.id.bytes, None, new.body)
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
