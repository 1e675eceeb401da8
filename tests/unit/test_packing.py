"""Packed bodies: what comes back is what went in, and the first part can be read alone."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from hookline.packing import PART, packed, unpacked
from hookline.payloads import HEAD, LEAST, OPEN


@given(st.binary(max_size=2000), st.integers(1, 300))
def test_what_is_packed_is_smaller_and_comes_back(raw: bytes, times: int) -> None:
    small = packed(raw * times)
    if small is not None:
        assert len(small) < len(raw * times)
        assert unpacked(small) == raw * times


@given(st.binary(max_size=3 * LEAST), st.sampled_from([b"", HEAD, HEAD + b"\x00", HEAD + b"\x05"]))
def test_whatever_a_body_is_it_comes_back(raw: bytes, head: bytes) -> None:
    assert OPEN.opened_bytes(OPEN.body_at_rest(head + raw)) == head + raw


def test_of_several_parts_the_first_can_be_read_alone() -> None:
    raw = b"".join(b"%08d" % number for number in range(PART // 4))
    small = packed(raw)
    assert small is not None
    first = 8 + int.from_bytes(small[4:8])
    assert unpacked(small) == raw
    assert unpacked(small[:first]) == raw[:PART]


def test_what_cannot_be_made_smaller_is_left_alone() -> None:
    assert packed(os.urandom(2 * PART)) is None
    assert packed(b"") is None
