"""The page of one session: its facts, what is in it, and its user's other sessions; or what has become of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, quote
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import clock, site, tokens
from ..exceptions import StoreUnavailable
from ..models import LiveSession
from ..states import SessionMode
from ..stores import wire
from ..stores.record import Client
from . import moments
from .contents import Contents, contents_of
from .devices import device_of
from .locations import country_of
from .permissions import PAYLOAD, PermissionsMixin
from .queryset import SessionQuery, last_of
from .words import REASONS

if TYPE_CHECKING:
    from django.utils.functional import Promise

    Fieldsets = list[tuple[str | Promise | None, dict[str, Any]]]

OTHERS: Final = 20
"""Other sessions of the user that the page lists."""

_ID: Final = re.compile(r"[\w-]{40}")
"""Also a token, where ``HASH_IDS=False`` makes ids of them."""

_FACTS: Final = ("identifier", "of_user", "state", "kind", "stored_as", "size")
_TIMES: Final = ("created_at", "signed_in_at", "seen_at", "saved_at", "expires_at", "ends_at")
_USES: Final = ("first_use", "last_use")


class DetailsMixin(PermissionsMixin):
    """The page of one session, for an admin of live sessions: read-only methods, which every theme can show."""

    def get_fieldsets(self, request: HttpRequest, obj: LiveSession | None = None) -> Any:
        return _fieldsets(obj) if obj is not None else []

    def get_readonly_fields(self, request: HttpRequest, obj: LiveSession | None = None) -> Any:
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    # Facts, for everybody who may see sessions.

    @admin.display(description=gettext_lazy("id"))
    def identifier(self, obj: LiveSession) -> SafeString:
        code = format_html('<code class="tys-id">{}</code> <code class="tys-id">{}</code>', obj.pk, tokens.urn(obj.pk))
        if obj.pk != obj.viewer.own_id:
            return code
        return format_html('{} <span class="tys-you">{}</span>', code, _("this is you"))

    @admin.display(description=gettext_lazy("user"))
    def of_user(self, obj: LiveSession) -> SafeString | str:
        if obj.user is None:
            return format_html('<span class="tys-none">{}</span>', _("anonymous"))
        if obj.person is None:
            return format_html('<span class="tys-none">{}</span>', _("deleted (%(key)s)") % {"key": obj.user})
        return _link(obj.viewer.user_url(obj.person), obj.person.get_username())

    @admin.display(description=gettext_lazy("state"))
    def state(self, obj: LiveSession) -> SafeString | str:
        if reason := obj.record.overdue(clock.now()):
            return str(REASONS[reason])
        state = _("anonymous") if obj.user is None else _("signed in")
        if (lease := obj.record.lease) is None or lease.is_over(clock.now()):
            return state
        words = _("{state}; one request has it for itself until {time}")
        return format_html(words, state=state, time=moments.at(lease.until))

    @admin.display(description=gettext_lazy("mode"))
    def kind(self, obj: LiveSession) -> str:
        return _("permanent") if obj.record.mode is SessionMode.PERM else _("temporary")

    @admin.display(description=gettext_lazy("session class"))
    def stored_as(self, obj: LiveSession) -> str:
        return _("%(name)s, version %(version)s") % {"name": obj.record.type, "version": obj.record.schema}

    @admin.display(description=gettext_lazy("size"))
    def size(self, obj: LiveSession) -> str:
        count = obj.record.revision
        saves = ngettext("%(size)s, saved %(count)s time", "%(size)s, saved %(count)s times", count)
        size = filesizeformat(len(wire.encode(obj.record)))
        return saves % {"size": size, "count": number_format(count, force_grouping=True)}

    @admin.display(description=gettext_lazy("created"))
    def created_at(self, obj: LiveSession) -> SafeString | str:
        return _past(obj.record.created)

    @admin.display(description=gettext_lazy("signed in"))
    def signed_in_at(self, obj: LiveSession) -> SafeString | str:
        return _past(obj.record.authenticated)

    @admin.display(description=gettext_lazy("last seen"))
    def seen_at(self, obj: LiveSession) -> SafeString | str:
        return _past(obj.record.seen)

    @admin.display(description=gettext_lazy("last saved"))
    def saved_at(self, obj: LiveSession) -> SafeString | str:
        return _past(obj.record.modified)

    @admin.display(description=gettext_lazy("expires"))
    def expires_at(self, obj: LiveSession) -> SafeString | str:
        return _future(obj.record.expires)

    @admin.display(description=gettext_lazy("ends at the latest"))
    def ends_at(self, obj: LiveSession) -> SafeString | str:
        return _future(obj.record.until)

    @admin.display(description=gettext_lazy("first used from"))
    def first_use(self, obj: LiveSession) -> SafeString | str:
        client: Client = obj.record.client or Client()
        return self._use(client.address, client.agent)

    @admin.display(description=gettext_lazy("last used from"))
    def last_use(self, obj: LiveSession) -> SafeString | str:
        return self._use(*last_of(obj.record))

    @admin.display(description=gettext_lazy("end it"))
    def ending(self, obj: LiveSession) -> SafeString:
        url = self._admin_url("end", quote(obj.pk))
        return format_html('<a class="tys-end" href="{}">{}</a>', url, _("End this session…"))

    # What is in it, for those who may see that too.

    @admin.display(description=gettext_lazy("contents"))
    def withheld(self, obj: LiveSession) -> str:
        return _("What is in a session is shown to those who have the permission %(name)s.") % {"name": PAYLOAD}

    @admin.display(description=gettext_lazy("fields"))
    def fields_shown(self, obj: LiveSession) -> SafeString | str:
        return _rendered("fields", obj)

    @admin.display(description=gettext_lazy("bag"))
    def bag_shown(self, obj: LiveSession) -> SafeString | str:
        return _rendered("bag", obj)

    @admin.display(description=gettext_lazy("not understood"))
    def trouble(self, obj: LiveSession) -> SafeString | str:
        return _rendered("trouble", obj)

    # Others, and what is left of a session.

    @admin.display(description=gettext_lazy("other sessions"))
    def others(self, obj: LiveSession) -> SafeString | str:
        try:
            found = [row for row in SessionQuery(obj.viewer).filter(user=obj.user) if row.pk != obj.pk]
        except StoreUnavailable:
            return _("The session store does not answer. Please try again.")
        query = urlencode({"user": obj.user})
        context = {
            "rows": [self._row(row) for row in found[:OTHERS]],
            "more": max(0, len(found) - OTHERS),
            "list_url": f"{self._admin_url('changelist')}?{query}",
            "end_url": f"{self._admin_url('end_matching')}?{query}" if found and obj.viewer.may_end else "",
        }
        return render_to_string("typed_sessions/admin/others.html", context)

    @admin.display(description=gettext_lazy("ended"))
    def ended_at(self, obj: LiveSession) -> SafeString | str:
        return _past(obj.tombstone.ended)

    @admin.display(description=gettext_lazy("why"))
    def ended_by(self, obj: LiveSession) -> str:
        return str(REASONS[obj.tombstone.reason])

    @admin.display(description=gettext_lazy("problem"))
    def unreadable(self, obj: LiveSession) -> str:
        problem = _ID.sub("…", obj.problem.partition(": ")[2] or obj.problem)
        return _("There is a record, and it cannot be read: %(problem)s") % {"problem": problem}

    def _use(self, address: str, agent: str) -> SafeString | str:
        if not address and not agent:
            return "-"
        device = device_of(agent)
        places: list[tuple[object]] = []
        if address:
            places.append((_link(f"{self._admin_url('changelist')}?{urlencode({'q': address})}", address),))
        if country := country_of(address):
            places.append((country.name or country.code,))
        if agent:
            places.append((device.text,))
        words = format_html_join(", ", "{}", places)
        is_told = device.text == agent or not agent
        return words if is_told else format_html('{}<div class="tys-agent">{}</div>', words, agent)

    def _row(self, row: LiveSession) -> dict[str, object]:
        address, agent = last_of(row.record)
        return {
            "url": self._admin_url("change", quote(row.pk)),
            "id": f"{row.pk[:8]}…",
            "is_own": row.pk == row.viewer.own_id,
            "seen": moments.ago(row.record.seen),
            "device": device_of(agent).text or "-",
            "address": address or "-",
        }

    def _admin_url(self, name: str, *args: str) -> str:
        return reverse(f"admin:typed_sessions_livesession_{name}", args=args, current_app=self.admin_site.name)


def _fieldsets(obj: LiveSession) -> Fieldsets:
    if obj.record is None:
        left = ("ended_at", "ended_by") if obj.tombstone is not None else ("unreadable",)
        return [(None, {"fields": ("identifier", *left, *_may_end(obj, obj.tombstone is None))})]
    sets: Fieldsets = [
        (None, {"fields": (*_FACTS, *_may_end(obj, obj.record.is_live(clock.now())))}),
        (gettext_lazy("Times"), {"fields": _TIMES}),
        (gettext_lazy("Where from"), {"fields": _USES}),
        (gettext_lazy("What is in it"), {"fields": _payload(obj)}),
    ]
    if obj.user is not None and site.store().lists_sessions:
        sets.append((gettext_lazy("The user's other sessions"), {"fields": ("others",)}))
    return sets


def _may_end(obj: LiveSession, is_there: bool) -> Sequence[str]:
    return ("ending",) if is_there and obj.viewer.may_end and obj.pk != obj.viewer.own_id else ()


def _payload(obj: LiveSession) -> Sequence[str]:
    if not obj.viewer.may_see_payload:
        return ("withheld",)
    found = _contents(obj)
    return (
        ("fields_shown", "bag_shown", "trouble") if found.unreadable or found.unknown else ("fields_shown", "bag_shown")
    )


def _contents(obj: LiveSession) -> Contents:
    """Read once for each page."""
    kept = vars(obj)
    found: Contents = kept.get("_contents") or contents_of(obj.record)
    kept["_contents"] = found
    return found


def _rendered(name: str, obj: LiveSession) -> SafeString | str:
    if not obj.viewer.may_see_payload:
        return "-"
    return render_to_string(f"typed_sessions/admin/{name}.html", _contents(obj)._asdict())


def _link(url: str | None, text: str) -> SafeString | str:
    return format_html('<a href="{}">{}</a>', url, text) if url else text


def _past(moment: int | None) -> SafeString | str:
    return "-" if moment is None else _both(moment, moments.ago)


def _future(moment: int | None) -> SafeString | str:
    return "-" if moment is None else _both(moment, moments.ahead)


def _both(moment: int, relative: Callable[[int], SafeString]) -> SafeString:
    return format_html("{} ({})", moments.at(moment), relative(moment))
