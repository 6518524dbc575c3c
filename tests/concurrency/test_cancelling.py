"""Async requests that are cancelled while they wait for the store (REQ-R31, CVE-2023-28858)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from typed_sessions.backends.base import SessionStore

if TYPE_CHECKING:
    from tests.servers.redis import RedisServer

CANCELLED, TASKS = 1000, 50

pytestmark = pytest.mark.django_db(transaction=True)


async def test_r31_a_thousand_cancelled_loads(engine: type[SessionStore], valkey: RedisServer) -> None:
    """Every other of the loads under way is cancelled, at each moment of its way; the others, and those after them,
    find their own session, and never that of who was cancelled.
    """
    keys = []
    for number in range(TASKS):
        session = engine()
        await session.aset("canary", number)
        await session.asave()
        keys.append(session.session_key)

    async def load(number: int) -> object:
        return await engine(keys[number]).aget("canary")

    before = len(valkey.client().client_list())
    outcomes: Counter[str] = Counter()
    while outcomes["cancelled"] < CANCELLED:
        tasks = [asyncio.create_task(load(number)) for number in range(TASKS)]
        for _ in range(sum(outcomes.values()) // (TASKS // 2) % 8):
            await asyncio.sleep(0)
        for number, task in enumerate(tasks):
            if number % 2 == 0:
                outcomes["too late" if task.done() else "cancelled"] += 1
                task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for number, answer in enumerate(answers):
            assert answer == number or (number % 2 == 0 and isinstance(answer, asyncio.CancelledError))
    assert [await load(number) for number in range(TASKS)] == list(range(TASKS))
    assert len(valkey.client().client_list()) <= before + TASKS
