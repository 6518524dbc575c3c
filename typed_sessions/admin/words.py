"""Why a session has ended, in words for those who look after the site."""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ..states import EndReason

REASONS: Final[dict[EndReason, Promise]] = {
    EndReason.LOGGED_OUT: _("signed out"),
    EndReason.EXPIRED_IDLE: _("expired, unused"),
    EndReason.EXPIRED_ABSOLUTE: _("expired, too old"),
    EndReason.ENDED_BY_USER: _("ended by the user"),
    EndReason.ENDED_BY_STAFF: _("ended by staff"),
    EndReason.OVER_LIMIT: _("too many sessions"),
    EndReason.PASSWORD_CHANGED: _("password changed"),
    EndReason.USER_INACTIVE: _("user no longer active"),
    EndReason.ROTATED: _("replaced by a newer one"),
    EndReason.UNDECODABLE: _("unreadable"),
}
"""Each goes on a sentence that says that the session has ended, or stands beside a number."""
