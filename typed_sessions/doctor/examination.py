"""Every check, one after the other; those that concern each store alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from django.conf import settings as django_settings
from django.core import checks as django_checks
from django.core.exceptions import ImproperlyConfigured

from .. import clock
from ..exceptions import StoreUnavailable
from ..stores.base import Store
from ..stores.record import GRACE
from .findings import Check, Finding, Findings, Level, counted, fail, good, run, warn
from .inspections import Inspection, Progress, inspection

SLOW = 0.1
"""Seconds; a store that takes longer makes pages slow, and takes more than a fifth of what it is given."""
ABANDONED = 300
"""Seconds after which an end that is not announced means that nobody announces any."""


def examine(
    store: Callable[[], Store], mend: bool = False, progress: Progress = lambda done: None
) -> Iterator[Finding]:
    """What all checks find in the store that ``store`` makes; with ``mend`` they mend what can be mended."""
    yield from run(Check("settings", _settings))
    try:
        there = store()
    except ImproperlyConfigured as error:
        yield from fail("store", f"cannot be asked: {error}", "Correct SESSION_ENGINE.")
        return
    looking = inspection(there, progress)
    for check in (*_of_every_store(there, looking), *(looking.checks(mend) if looking else ())):
        yield from run(check)


def worst(findings: Iterable[Finding]) -> Level:
    """The highest level that any of them has."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)


_REACH = "See that it runs, and that CACHES or DATABASES leads there; until then requests with a session get a 503."


def _of_every_store(store: Store, looking: Inspection | None) -> Sequence[Check]:
    clocks = Check("clock", lambda name: _clock(name, store))
    if looking is None:
        return (clocks,)
    return (
        Check("store", lambda name: _reach(name, looking)),
        clocks,
        Check("reaper", lambda name: _reaper(name, looking)),
    )


def _settings(name: str) -> Findings:
    """The system checks of this app, on a server with those that are for servers."""
    messages = django_checks.run_checks(tags=["typed_sessions"], include_deployment_checks=not django_settings.DEBUG)
    found = [
        Finding(name, _level(message), f"{message.id}: {message.msg}", message.hint or "")
        for message in messages
        if not message.is_silenced()
    ]
    return found or good(name, "no system check complains")


def _level(message: django_checks.CheckMessage) -> Level:
    if message.level >= django_checks.ERROR:
        return Level.ERROR
    return Level.WARNING if message.level >= django_checks.WARNING else Level.OK


def _reach(name: str, looking: Inspection) -> Findings:
    """Whether the store takes a write, a read and a delete, and how long each takes."""
    times = {}
    for verb, probe in looking.probes().items():
        begun = time.monotonic()
        try:
            probe()
        except StoreUnavailable as error:
            return fail(name, f"the {verb} of a probe failed: {error}", _REACH)
        times[verb] = time.monotonic() - begun
    said = ", ".join(f"{verb} {seconds * 1000:.1f} ms" for verb, seconds in times.items())
    if max(times.values()) > SLOW:
        advice = "Bring web servers and store closer together, or give the store more room. Each request waits for it."
        return warn(name, f"is slow: {said}", advice)
    return good(name, said)


def _clock(name: str, store: Store) -> Findings:
    """Whether this machine and the store agree on what time it is."""
    before = clock.machine()
    theirs = store.time()
    if theirs is None:
        return good(name, "the store has no clock of its own")
    # It answers in whole seconds, rounded down.
    ahead = round((before + clock.machine()) / 2 - theirs - 0.5)
    if abs(ahead) <= clock.TOLERANCE:
        return good(name, "this machine and the store agree")
    found = f"this machine's clock is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} the store's"
    tell = fail if abs(ahead) > GRACE else warn
    return tell(name, found, "Let both follow the same time servers (NTP).")


def _reaper(name: str, looking: Inspection) -> Findings:
    """Whether somebody announces the ends of sessions that have expired."""
    unannounced = looking.unannounced(clock.now())
    if unannounced is None:
        return good(name, "this store forgets expired sessions by itself, and tells nobody")
    if unannounced.since is None or clock.now() - unannounced.since < ABANDONED:
        return good(name, "no end has been waiting for long to be announced")
    minutes = (clock.now() - unannounced.since) // 60
    waiting = counted(unannounced.count, "session")
    found = f"expired, and on_ended not called: {waiting}, the first {minutes} min ago"
    advice = "Run 'manage.py typed_sessions reap --forever' as a service, or 'clearsessions' by cron."
    return warn(name, found, advice)
