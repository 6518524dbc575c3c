"""The filters beside the list: what every store finds by its indexes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..states import SessionMode
from .queryset import SessionQuery

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_HOUR, _DAY = 3600, 86_400
OLDER: Final = "older"
SEEN: Final = "seen"
EXPIRES: Final = "expires"

Choices = tuple[tuple[str, "StrOrPromise"], ...]


class _Filter(SimpleListFilter):
    """One of a few values. Any other is an error: who mistypes one must not end everybody's sessions."""

    offered: ClassVar[Choices]
    excluded: ClassVar[tuple[str, ...]] = ()
    """What a link of this filter takes out of the query string."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return self.offered

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value is None:
            return queryset
        if value not in dict(self.lookup_choices):
            raise IncorrectLookupParameters
        return queryset.choose(**self.changes(value, queryset))

    if TYPE_CHECKING:

        def changes(self, value: str, queryset: SessionQuery) -> dict[str, Any]:
            """What the value means for a ``Selection``."""
            return {}

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        for value, words in (None, _("All")), *self.lookup_choices:
            link = changelist.get_query_string({str(self.parameter_name): value}, list(self.excluded))
            said = words if value is None else self.words(value, changelist)
            yield {"selected": self.value() == value, "query_string": link, "display": said}

    def words(self, value: str, changelist: ChangeList) -> StrOrPromise:
        """What the list says of the value."""
        return dict(self.lookup_choices)[value]


class UserFilter(_Filter):
    """Shown while the list is about one user, which links elsewhere have asked for."""

    title, parameter_name = _("user"), "user"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        given = self.value()
        return () if given is None else ((given, given),)

    def words(self, value: str, changelist: ChangeList) -> StrOrPromise:
        """The name, if the list has a session of that user; whose key is whose is not for everybody to find out."""
        return next((row.person.get_username() for row in changelist.queryset if row.person), value)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        try:
            return queryset.filter(user=self.value())
        except ValueError as error:
            raise IncorrectLookupParameters from error


class ModeFilter(_Filter):
    title, parameter_name = _("mode"), "mode"
    offered = ((SessionMode.TEMP.value, _("temporary")), (SessionMode.PERM.value, _("permanent")))

    def changes(self, value: str, queryset: SessionQuery) -> dict[str, Any]:
        return {"mode": SessionMode(value)}


class SignedInFilter(_Filter):
    title, parameter_name = _("sign-in"), "signed_in"
    offered = (("yes", _("signed in")), ("no", _("anonymous")))

    def changes(self, value: str, queryset: SessionQuery) -> dict[str, Any]:
        return {"signed_in": value == "yes"}


class SeenFilter(_Filter):
    title, parameter_name = _("last seen"), SEEN
    offered = (
        ("5min", _("in the past 5 minutes")),
        ("hour", _("in the past hour")),
        ("day", _("in the past day")),
        (OLDER, _("more than a day ago")),
    )
    excluded = (EXPIRES, ORDER_VAR)
    _spans: ClassVar = {"5min": 300, "hour": _HOUR, "day": _DAY}

    def changes(self, value: str, queryset: SessionQuery) -> dict[str, Any]:
        # To the minute, so that what a store has found for one page serves for the next one too.
        now = queryset.wanted.now // 60 * 60
        if value == OLDER:
            return {"by": "seen", "before": now - _DAY}
        return {"by": "seen", "since": now - self._spans[value]}


class ExpiresFilter(_Filter):
    """The one that expires soonest comes first."""

    title, parameter_name = _("expiry"), EXPIRES
    offered = (("hour", _("within an hour")), ("day", _("within a day")), ("week", _("within a week")))
    excluded = (SEEN, ORDER_VAR)
    _spans: ClassVar = {"hour": _HOUR, "day": _DAY, "week": 7 * _DAY}

    def changes(self, value: str, queryset: SessionQuery) -> dict[str, Any]:
        if queryset.wanted.selection.since or queryset.wanted.selection.before:
            raise IncorrectLookupParameters  # a store has one order, and a span of that
        now = (queryset.wanted.now + 59) // 60 * 60
        return {"by": "expires", "ascending": True, "before": now + self._spans[value]}


def words_of(changelist: ChangeList) -> str:
    """What a list is filtered by, in a line for people; empty if by nothing."""
    filters = [spec for spec in changelist.filter_specs if isinstance(spec, _Filter)]
    parts = [(spec.title, spec.words(value, changelist)) for spec in filters if (value := spec.value()) is not None]
    if changelist.query:
        parts.append((_("search"), changelist.query))
    return ", ".join(f"{title}: {value}" for title, value in parts)


FILTERS: Final = (UserFilter, ModeFilter, SignedInFilter, SeenFilter, ExpiresFilter)


PARAMETERS: Final = frozenset(each.parameter_name for each in FILTERS)
"""All that a query string may be filtered by."""


def sorted_by(request: HttpRequest) -> tuple[str, ...]:
    """The fields that the list can be sorted by, the one that it is sorted by first. A filter of time leaves one."""
    if EXPIRES in request.GET:
        return ("expires",)
    return ("seen",) if SEEN in request.GET else ("seen", "expires")
