"""One body for a sync and an async method: a generator that yields its input and output and is driven by either.

Whatever decides stands once, in the generator; whatever waits is a ``Step`` that knows both ways of waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Step(NamedTuple):
    """One act of input or output, as a function and as a coroutine function."""

    sync: Callable[..., Any]
    asynchronous: Callable[..., Awaitable[Any]]
    args: tuple[Any, ...] = ()


Flow = Generator[Step, Any, T]


def drive(flow: Flow[T]) -> T:
    """Runs ``flow``, waiting for each step."""
    try:
        step = next(flow)
        while True:
            try:
                answer = step.sync(*step.args)
            except BaseException as error:  # a task that is cancelled has things to put away, too
                step = flow.throw(error)
            else:
                step = flow.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def adrive(flow: Flow[T]) -> T:
    """Runs ``flow``, awaiting each step."""
    try:
        step = next(flow)
        while True:
            try:
                answer = await step.asynchronous(*step.args)
            except BaseException as error:  # a task that is cancelled has things to put away, too
                step = flow.throw(error)
            else:
                step = flow.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
