"""Calling the hooks of a session class and sending the signals after them, from sync and from async code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

from . import signals
from .flows import Step
from .session import TypedSession


def call(hook: Callable[..., Any], *args: Any) -> Step:
    """A step that calls ``hook``, which may be a coroutine function. What the project's code raises goes through."""
    return Step(_call, _acall, (hook, *args))


def send(name: str, session: TypedSession, request: object, user: object = None, **extra: Any) -> Step:
    """A step that sends the signal ``name``."""

    def sync() -> None:
        signals.announce(getattr(signals, name), session, request, user, **extra)

    async def asynchronous() -> None:
        await signals.aannounce(getattr(signals, name), session, request, user, **extra)

    return Step(sync, asynchronous)


def _call(hook: Callable[..., Any], *args: Any) -> None:
    if inspect.iscoroutinefunction(hook):
        async_to_sync(hook)(*args)
    else:
        hook(*args)


async def _acall(hook: Callable[..., Any], *args: Any) -> None:
    if inspect.iscoroutinefunction(hook):
        await hook(*args)
    elif getattr(hook, "__func__", None) is not getattr(TypedSession, hook.__name__, None):
        # It may ask the database, which async code must not wait for.
        await sync_to_async(hook)(*args)
