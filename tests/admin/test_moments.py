"""Moments, as people read them."""

from __future__ import annotations

import re

import pytest
from django.utils import translation

from tests.admin.conftest import clock
from typed_sessions.admin import moments
from typed_sessions.testing.engines import Clock

__all__ = ["clock"]

MINUTE, HOUR, DAY = 60, 3600, 86_400


def words(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html).replace("\xa0", " ")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "just now"),
        (59, "just now"),
        (MINUTE, "1 minute ago"),
        (3 * MINUTE + 59, "3 minutes ago"),
        (HOUR, "1 hour ago"),
        (2 * DAY + HOUR, "2 days ago"),
        (14 * DAY - 1, "13 days ago"),
        (400 * DAY, "1 year ago"),
    ],
)
def test_ago(clock: Clock, seconds: int, expected: str) -> None:
    """The past is told by its largest unit, rounded down."""
    assert words(moments.ago(clock.now - seconds)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "over"),
        (0, "over"),
        (1, "in less than a minute"),
        (MINUTE, "in 1 minute"),
        (7 * DAY, "in 7 days"),
        (14 * DAY - 1, "in 13 days"),
        (30 * DAY, "in 30 days"),
        (31 * DAY, "in 1 month"),
        (HOUR + 59 * MINUTE, "in 1 hour"),
    ],
)
def test_ahead(clock: Clock, seconds: int, expected: str) -> None:
    """The future is told by its largest unit, rounded down."""
    assert words(moments.ahead(clock.now + seconds)) == expected


def test_exactly(clock: Clock) -> None:
    """The exact time is there for programs, and for who points at the words, in the language of the page."""
    assert moments.at(None) == "-"
    element = '<time datetime="2027-01-15T08:00:00+00:00" title="Jan. 15, 2027, 2 a.m.">'
    assert moments.at(clock.now) == f"{element}Jan. 15, 2027, 2 a.m.</time>"
    assert moments.ago(clock.now) == f"{element}just now</time>"
    with translation.override("de"):
        assert 'title="15. Januar 2027 02:00"' in moments.at(clock.now)


@pytest.mark.parametrize("moment", [-(2**70), -1, 2**40, 2**70])
def test_beyond_time(clock: Clock, moment: int) -> None:
    """What no calendar has is shown as the last or the first moment."""
    for words_of in (moments.at, moments.ago, moments.ahead):
        assert "<time" in words_of(moment)
    assert moments.aware(moment).year in (1970, 9999)
