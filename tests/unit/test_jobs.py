"""Declaring jobs and steps: what is refused at once, what their names and policies become."""

from __future__ import annotations

import functools
import gc
import os
import subprocess
import sys
import weakref
from datetime import timedelta
from importlib.metadata import EntryPoint
from typing import Any
from uuid import RFC_4122

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline import App, Context, Event, Fatal, Retry, loading, step
from hookline.codec import DRAWN_AT_ONCE, Typed, Undecodable, decode, encode, uuid7
from hookline.engine import decide
from hookline.errors import ConfigurationError, InvalidInput, StepFailed, UnknownJob
from hookline.jobs.step import as_step


async def job(ctx: Context, given: Any) -> None: ...


def test_a_name_and_version_are_declared_once_and_new_runs_get_the_latest() -> None:
    house = App()
    house.job("work")(job)
    house.job("work", version=3)(job)
    house.job("work", version=2)(job)
    assert house.find("work").version == 3
    with pytest.raises(ConfigurationError, match="job work version 2 is declared twice"):
        house.job("work", version=2)(job)
    with pytest.raises(UnknownJob):
        house.find("play")


async def one_parameter(ctx: Context) -> None: ...


def not_async(ctx: Context, given: Any) -> None: ...


async def unusable(ctx: Context, given: Missing) -> None: ...  # type: ignore[name-defined] # noqa: F821


@pytest.mark.parametrize("function", [one_parameter, not_async, unusable])
def test_what_is_no_job_is_refused_when_it_is_declared(function: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"job {function.__name__}"):
        App().job()(function)


@pytest.mark.parametrize("name", ["a b", "a/b", "7", "a@1"])
def test_a_name_that_would_not_fit_into_a_path_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="a job's name is"):
        App().job(name)(job)


def test_a_scope_is_filled_from_fields_and_reaches_nothing_else() -> None:
    house = App()
    house.job("templated", scope="{repository}/{pull_request.number}")(job)
    house.job("nosy", scope="{data.__class__}")(job)
    house.job("computed", scope=lambda event: event.key)(job)
    event = Event("x", key="k", data={"pull_request": {"number": 7}}, fields={"repository": "octo/site"})
    assert house.find("templated").scope_of(event) == "octo/site/7"
    assert house.find("computed").scope_of(event) == "k"
    with pytest.raises(InvalidInput, match=r"needs more: no field 'data.__class__'"):
        house.find("nosy").scope_of(event)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere:app", "cannot load application nowhere:app: ModuleNotFoundError"),
        ("tests.unit.test_jobs:nothing", "AttributeError"),
        ("tests.unit.test_jobs:job", "is not a hookline App but a function"),
        ("tests.unit.test_jobs", "an application is named like"),
    ],
)
def test_an_application_that_is_not_there_is_said_clearly(reference: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        loading.load(reference)


def test_without_a_reference_all_installed_applications_are_loaded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(name, f"examples.{name}:app", "hookline.apps") for name in ("deploy",)]
    monkeypatch.setattr(loading, "entry_points", lambda group: points if group == "hookline.apps" else [])
    assert [job.offer for job in loading.load(None)] == ["deploy@1"]
    monkeypatch.setattr(loading, "entry_points", lambda group: points * 2)
    assert [job.offer for job in loading.load(None)] == ["deploy@1"]


def test_step_options_add_up_and_the_step_is_still_its_function() -> None:
    @step(retry=Retry(attempts=5), timeout=timedelta(minutes=1))
    def add(a: int, b: int) -> int:
        return a + b

    assert add(1, 2) == 3
    assert (add.name, add.timeout, add.retry.attempts) == ("add", 60.0, 5)
    changed = add.options(name="plus", timeout=2)
    assert (changed.name, changed.timeout, changed.retry.attempts) == ("plus", 2.0, 5)
    assert (add.name, add.timeout) == ("add", 60.0)


@pytest.mark.parametrize("name", ["", "a/b", "a#2", "a\nb", "\udcff", "a" * 201])
def test_a_step_name_that_would_break_the_path_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a step's name"):
        step(name=name)(lambda: None)


def test_what_is_no_function_is_no_step() -> None:
    with pytest.raises(TypeError, match="pass the function and its arguments"):
        as_step(42)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has no name"):
        as_step(functools.partial(max, 1))


@given(st.integers(1, 500), st.floats(0, 100), st.floats(0, 10), st.floats(0, 1000), st.floats(0, 1))
def test_pauses_grow_to_the_cap_and_are_never_negative(
    attempt: int, delay: float, factor: float, cap: float, jitter: float
) -> None:
    pause = Retry(attempts=3, delay=delay, factor=factor, cap=cap, jitter=jitter).pause(attempt)
    assert 0 <= pause <= max(cap, delay)


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"delay": -1}, {"jitter": 2}, {"factor": -1}])
def test_an_impossible_policy_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a Retry has"):
        Retry(**wrong)


class Special(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def local_error() -> Exception:
    class Local(Exception): ...

    return Local("here")


@pytest.mark.parametrize("error", [ValueError("x"), Special(1, 2), Fatal("y"), KeyError("k"), TimeoutError()])
def test_a_recorded_failure_comes_back_as_its_own_type(error: Exception) -> None:
    rebuilt = decide.rebuild(decide.describe(error))
    assert type(rebuilt) is type(error)
    assert str(error) in str(rebuilt)


def test_a_failure_whose_type_is_not_to_be_had_comes_back_as_a_stand_in() -> None:
    rebuilt = decide.rebuild(decide.describe(local_error()))
    assert isinstance(rebuilt, StepFailed)
    assert "Local: here" in str(rebuilt)
    gone = encode({"type": "no.such.module:Gone", "message": "m", "traceback": ""})
    assert str(decide.rebuild(gone)) == "Gone: m"
    not_an_error = encode({"type": "builtins:print", "message": "m", "traceback": ""})
    assert isinstance(decide.rebuild(not_an_error), StepFailed)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_json_values_survive_encoding(value: Any) -> None:
    assert decode(encode(value)) == value


def test_bytes_of_a_declared_type_survive_encoding() -> None:
    assert Typed(bytes).decode(encode(b"\xff\0")) == b"\xff\0"
    with pytest.raises(Undecodable):
        encode(open)


def test_ids_are_in_the_order_of_their_making_and_of_version_seven() -> None:
    ids = [uuid7() for _ in range(100)]
    assert {(each.version, each.variant) for each in ids} == {(7, RFC_4122)}
    assert len(set(ids)) == 100
    assert [each.int >> 64 for each in ids] == sorted(each.int >> 64 for each in ids)
    assert len({each.int >> 64 for each in ids}) > len({each.int >> 80 for each in ids})


def test_whoever_makes_many_ids_seldom_asks_the_kernel_so_that_others_get_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(os, "urandom", lambda size, draw=os.urandom: drawn.append(size) or draw(size))
    assert len({uuid7() for _ in range(10 * DRAWN_AT_ONCE)}) == 10 * DRAWN_AT_ONCE
    assert len(drawn) <= 10


def test_a_forked_process_makes_ids_of_its_own() -> None:
    code = "import os; from hookline.codec import uuid7; uuid7(); os.fork(); os.write(1, uuid7().bytes[8:])"
    told = subprocess.run([sys.executable, "-c", f"{code}; os._exit(0)"], stdout=subprocess.PIPE, check=True).stdout
    assert len(told) == 16
    assert told[:8] != told[8:]


def test_an_option_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="tiemout"):
        step(tiemout=5)(str)  # type: ignore[call-overload]


def test_a_function_that_is_forgotten_leaves_nothing_behind() -> None:
    def make() -> weakref.ref[Any]:
        def local() -> None: ...

        assert as_step(local) is as_step(local)
        return weakref.ref(local)

    local = make()
    gc.collect()
    assert local() is None
