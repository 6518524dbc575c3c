"""Telling of the turns of a session's life: the hook of its class, then the events classes, then the signal."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

from . import events, signals
from .flows import Flow, Step
from .session import TypedSession

logger = logging.getLogger("typed_sessions")


def tell(name: str, session: TypedSession, *args: Any) -> Flow[None]:
    """Calls the hook ``name`` of the session, and of each events class. What they raise goes through."""
    for hook, given in _hooks(name, session, args):
        yield Step(call, acall, (hook, *given))


def ask(name: str, session: TypedSession, *args: Any) -> Flow[Any]:
    """The first answer but ``None`` among those that ``tell`` would call."""
    for hook, given in _hooks(name, session, args):
        answer = yield Step(call, acall, (hook, *given))
        if answer is not None:
            return answer
    return None


def is_heard(name: str, session_class: type[TypedSession]) -> bool:
    """Whether anybody would notice if ``name`` were told and sent."""
    hooks = (getattr(session_class, name), *(getattr(one, name) for one in events.configured()))
    return bool(getattr(signals, name).receivers) or not all(map(events.is_default, hooks))


def tell_robustly(name: str, session: TypedSession, *args: Any) -> Flow[None]:
    """``tell`` of what has happened already: what a hook raises is logged, and keeps none of the others back."""
    for hook, given in _hooks(name, session, args):
        try:
            yield Step(call, acall, (hook, *given))
        except Exception:
            logger.exception("%s of session %s raised an error", name, session.id)


def send(name: str, session: TypedSession, request: object, user: object = None, **extra: Any) -> Step:
    """A step that sends the signal ``name``."""

    def sync() -> None:
        signals.announce(getattr(signals, name), session, request, user, **extra)

    async def asynchronous() -> None:
        await signals.aannounce(getattr(signals, name), session, request, user, **extra)

    return Step(sync, asynchronous)


def _hooks(name: str, session: TypedSession, args: tuple[Any, ...]) -> Iterator[tuple[Callable[..., Any], Any]]:
    yield getattr(session, name), args
    for one in events.configured():
        yield getattr(one, name), (session, *args)


def call(hook: Callable[..., Any], *args: Any) -> Any:
    answer = hook(*args)
    return async_to_sync(_awaited)(answer) if inspect.isawaitable(answer) else answer


async def acall(hook: Callable[..., Any], *args: Any) -> Any:
    if inspect.iscoroutinefunction(hook):
        return await hook(*args)
    # It may ask the database, which async code must not wait for.
    if events.is_default(hook):
        return None
    answer = await sync_to_async(hook)(*args)
    return await answer if inspect.isawaitable(answer) else answer


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer
