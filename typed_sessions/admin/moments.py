"""Moments for people: how long ago, and exactly."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Final

from django.utils import formats
from django.utils import timezone as zones
from django.utils.html import avoid_wrapping, format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import npgettext_lazy

from .. import clock

_LATEST: Final = 253_402_000_000
"""In the last days of the year 9999, in every time zone."""

# Other cases than by themselves, in many languages.
_SPANS: Final[dict[str, Any]] = {
    "year": npgettext_lazy("after “ago” or “in”", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("after “ago” or “in”", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("after “ago” or “in”", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("after “ago” or “in”", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("after “ago” or “in”", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("after “ago” or “in”", "%(num)d minute", "%(num)d minutes", "num"),
}


def at(moment: int | None) -> SafeString | str:
    """Seconds since the epoch as the exact time; "-" for none."""
    return "-" if moment is None else _element(moment, _exactly(moment))


def ago(moment: int) -> SafeString:
    """Such as "3 minutes ago", with the exact time for who points at it."""
    if clock.now() - moment < 60:
        return _element(moment, _("just now"))
    words = _days(clock.now() - moment) or timesince(aware(moment), aware(clock.now()), time_strings=_SPANS, depth=1)
    return _element(moment, _("%(time)s ago") % {"time": words})


def ahead(moment: int) -> SafeString:
    """Such as "in 13 days", with the exact time for who points at it."""
    if moment <= clock.now():
        return _element(moment, _("over"))
    if moment - clock.now() < 60:
        return _element(moment, _("in less than a minute"))
    words = _days(moment - clock.now()) or timeuntil(aware(moment), aware(clock.now()), time_strings=_SPANS, depth=1)
    return _element(moment, _("in %(time)s") % {"time": words})


def _days(seconds: int) -> str | None:
    """What Django would tell as one to four weeks, which is too rough for a session of two."""
    days = seconds // 86_400
    return avoid_wrapping(_SPANS["day"] % {"num": days}) if 7 <= days <= 30 else None


def _element(moment: int, words: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', aware(moment).isoformat(), _exactly(moment), words)


def _exactly(moment: int) -> str:
    return formats.date_format(zones.localtime(aware(moment)), "DATETIME_FORMAT")


def aware(moment: int) -> datetime:
    """Seconds since the epoch, in UTC. A damaged record may say one that Python has not, and is shown all the same."""
    return datetime.fromtimestamp(min(max(moment, 0), _LATEST), tz=timezone.utc)
