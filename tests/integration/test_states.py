"""Every ordered pair of states: the legal ones pass, and the database refuses the rest."""

from __future__ import annotations

import asyncpg
import pytest

from hookline.codec import uuid7
from hookline.store.states import STATES, TERMINAL, TRANSITIONS

INSERT = """
insert into hookline.runs (id, job, version, state, worker_id, finished_at)
values ($1, 'work', 1, $2, case when $2 = 'running' then gen_random_uuid() end,
        case when $2 = any($3) then now() end)
"""

CHANGE = """
update hookline.runs
   set state = $2, worker_id = case when $2 = 'running' then gen_random_uuid() end,
       finished_at = case when $2 = any($3) then now() end
 where id = $1
"""


async def test_the_database_allows_exactly_the_transitions_of_the_table(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    allowed = set()
    for before in STATES:
        for after in STATES:
            run = uuid7()
            await connection.execute(INSERT, run, before, list(TERMINAL))
            try:
                await connection.execute(CHANGE, run, after, list(TERMINAL))
            except asyncpg.IntegrityConstraintViolationError:
                continue
            allowed.add((before, after))
    await connection.close()

    expected = {(before, after) for before, to in TRANSITIONS.items() for after in to}
    assert allowed - {(state, state) for state in STATES} == expected


@pytest.mark.parametrize("state", STATES)
def test_terminal_states_are_final_and_the_others_are_not(state: str) -> None:
    assert (state in TERMINAL) == (not TRANSITIONS[state])  # type: ignore[index]
