"""Flows: one body, driven with waiting or with awaiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from typed_sessions.flows import Flow, Step, adrive, drive

Runner = Callable[[Flow[Any]], Any]


def awaiting(flow: Flow[Any]) -> Any:
    """`adrive` in a loop of its own."""
    return asyncio.run(adrive(flow))


@pytest.fixture(params=[drive, awaiting], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Either way to run a flow."""
    runner: Runner = request.param
    return runner


class Journal(list[str]):
    """What steps of it have been done, and by which of their two ways."""

    def step(self, name: str, answer: object = None) -> Step:
        def sync(argument: str) -> object:
            self.append(f"sync {argument}")
            return self._answer(answer)

        async def asynchronous(argument: str) -> object:
            await asyncio.sleep(0)
            self.append(f"async {argument}")
            return self._answer(answer)

        return Step(sync, asynchronous, (name,))

    @staticmethod
    def _answer(answer: object) -> object:
        if isinstance(answer, BaseException):
            raise answer
        return answer


def way_of(run: Runner) -> str:
    return "sync" if run is drive else "async"


def test_steps_run_in_order_each_in_its_way(run: Runner) -> None:
    """Each step gets its arguments, its answer goes into the flow, and the flow's result comes out."""
    journal = Journal()

    def flow() -> Flow[str]:
        one = yield journal.step("first", "1")
        two = yield journal.step("second", "2")
        return str(one) + str(two)

    assert run(flow()) == "12"
    assert journal == [f"{way_of(run)} first", f"{way_of(run)} second"]


def test_a_flow_without_steps_has_a_result(run: Runner) -> None:
    """A flow that finds that nothing is to be done may yield nothing."""

    def flow() -> Flow[int]:
        yield from ()
        return 5

    assert run(flow()) == 5


def test_a_flow_may_be_made_of_flows(run: Runner) -> None:
    """A flow that is part of another is driven with it."""
    journal = Journal()

    def inner() -> Flow[int]:
        answer: int = yield journal.step("inner", 3)
        return answer

    def outer() -> Flow[int]:
        return 10 * (yield from inner())

    assert run(outer()) == 30


def test_an_error_of_a_step_is_raised_where_the_flow_waits(run: Runner) -> None:
    """The flow may catch what a step raises, and go on with other steps."""
    journal = Journal()

    def flow() -> Flow[str]:
        try:
            yield journal.step("broken", KeyError("broken"))
        except KeyError as error:
            answer = yield journal.step("mended", error.args[0])
            return f"mended after {answer}"
        return "not reached"

    assert run(flow()) == "mended after broken"
    assert journal == [f"{way_of(run)} broken", f"{way_of(run)} mended"]


def test_a_flow_may_end_at_an_error(run: Runner) -> None:
    """A flow that catches the error of its last step has a result."""

    def flow() -> Flow[str]:
        try:
            yield Journal().step("broken", OSError())
        except OSError:
            return "gave up"
        return "not reached"

    assert run(flow()) == "gave up"


def test_an_error_nobody_catches_comes_out(run: Runner) -> None:
    """What the flow does not catch reaches the caller, and the flow's `finally` runs."""
    journal = Journal()

    def flow() -> Flow[None]:
        try:
            yield journal.step("broken", ZeroDivisionError("by nothing"))
        finally:
            journal.append("cleaned up")

    with pytest.raises(ZeroDivisionError, match="by nothing"):
        run(flow())
    assert journal == [f"{way_of(run)} broken", "cleaned up"]


def test_an_error_of_the_flow_itself_comes_out(run: Runner) -> None:
    """What the flow raises between its steps reaches the caller."""

    def flow() -> Flow[None]:
        yield Journal().step("fine")
        raise LookupError("of the flow")

    with pytest.raises(LookupError, match="of the flow"):
        run(flow())


async def test_a_cancelled_step_cancels_the_flow() -> None:
    """Cancelling is no error that a flow may take for the store's: no further step runs."""
    journal = Journal()

    async def endless() -> None:
        journal.append("waits")
        await asyncio.Event().wait()

    def flow() -> Flow[None]:
        try:
            yield Step(lambda: None, endless)
        except Exception:
            journal.append("taken for an error")
        yield journal.step("another")

    task = asyncio.ensure_future(adrive(flow()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert journal == ["waits"]
