"""A chart of sessions over time: where its lines and ticks are, and what they say. Nothing here asks a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone, tzinfo
from math import ceil
from typing import Final, NamedTuple

from django.utils import timezone as zones
from django.utils.formats import date_format, number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..stores.statistics import Sample

HEIGHT: Final = 1000
"""Of the lines' own system of coordinates, in which a step is two wide; it is stretched to what room there is."""
TOP: Final = 14
BOTTOM: Final = 174
"""Pixels from the upper edge of the picture to the largest value, and to zero."""
_LINES: Final = 4


@dataclass(frozen=True)
class Range:
    """How far the chart goes back, and how much a step of it tells of."""

    name: str
    label: Promise
    title: Promise
    each: Promise
    steps: int
    step: int
    """Seconds."""
    hours: int
    """From one tick of the time to the next."""


DAY: Final = Range(
    "day",
    gettext_lazy("24 hours"),
    gettext_lazy("Sessions in the last 24 hours"),
    gettext_lazy("The highest number in each 15 minutes"),
    steps=96,
    step=900,
    hours=3,
)
WEEK: Final = Range(
    "week",
    gettext_lazy("7 days"),
    gettext_lazy("Sessions in the last 7 days"),
    gettext_lazy("The highest number in each hour"),
    steps=168,
    step=3600,
    hours=24,
)
RANGES: Final = {chosen.name: chosen for chosen in (DAY, WEEK)}


class Point(NamedTuple):
    """The highest numbers of one step."""

    place: int
    """Steps from the left edge."""
    live: int
    signed_in: int


class Row(NamedTuple):
    """A point in words."""

    at: datetime
    place: str
    """In the coordinates of the lines."""
    time: str
    live: str
    signed_in: str


class Tick(NamedTuple):
    """A line of the grid and what stands at it: ``place`` is a share of the width, or pixels from above."""

    place: str
    label: str
    is_minor: bool = False
    """Left out where there is little room."""


class Line(NamedTuple):
    """The points of one number, as paths of SVG."""

    stroke: str = ""
    area: str = ""


_NO_LINE: Final = Line()


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What the template draws. Without ``rows``, or with one, there is nothing to draw, and ``note`` says so."""

    range: Range
    rows: Sequence[Row]
    note: str = ""
    description: str = ""
    live: Line = _NO_LINE
    signed_in: Line = _NO_LINE
    values: Sequence[Tick] = ()
    times: Sequence[Tick] = ()

    @property
    def has_long_values(self) -> bool:
        return any(len(tick.label) > 6 for tick in self.values)

    @property
    def view_box(self) -> str:
        return f"0 0 {2 * self.range.steps} {HEIGHT}"


def chart(samples: Iterable[Sample], chosen: Range, now: int) -> Chart:
    """The chart of ``samples`` that ends ``now``, in the words and the time zone that are active."""
    begin = beginning(chosen, now)
    found = points(samples, chosen, begin)
    rows = [_row(point, begin + point.place * chosen.step) for point in found]
    if len(found) < 2:
        return Chart(range=chosen, rows=rows, note=_note(rows))
    top, step = scale(max(point.live for point in found))
    return Chart(
        range=chosen,
        rows=rows,
        description=_description(found, rows),
        live=line([(point.place, point.live) for point in found], top),
        signed_in=line([(point.place, point.signed_in) for point in found], top),
        values=value_ticks(top, step),
        times=time_ticks(begin, chosen, zones.get_current_timezone()),
    )


def beginning(chosen: Range, now: int) -> int:
    """The left edge: whole steps before the end of the step that is under way."""
    return (now // chosen.step + 1 - chosen.steps) * chosen.step


def points(samples: Iterable[Sample], chosen: Range, begin: int) -> list[Point]:
    """One for each step in which something was measured, in the order of time."""
    found: dict[int, Point] = {}
    for sample in samples:
        place = (sample.at - begin) // chosen.step
        if 0 <= place < chosen.steps:
            known = found.get(place, Point(place, 0, 0))
            found[place] = Point(place, max(known.live, sample.live), max(known.signed_in, sample.signed_in))
    return [found[place] for place in sorted(found)]


def scale(highest: int) -> tuple[int, int]:
    """The value at the upper edge, and from one line of the grid to the next: whole, round, and few."""
    least = max(1, ceil(highest / _LINES))
    power = 10 ** (len(str(least)) - 1)
    round_ones = [tenths * power // 10 for tenths in (10, 20, 25, 50, 100) if tenths * power % 10 == 0]
    step = next(value for value in round_ones if value >= least)
    return max(1, ceil(highest / step)) * step, step


def value_ticks(top: int, step: int) -> list[Tick]:
    """The lines of the grid, from zero upwards."""
    return [
        Tick(f"{BOTTOM - (BOTTOM - TOP) * value / top:g}", number_format(value, force_grouping=True))
        for value in range(0, top + 1, step)
    ]


def time_ticks(begin: int, chosen: Range, zone: tzinfo) -> list[Tick]:
    """Round hours or days of ``zone``, without those whose words would not fit beside the edges."""
    width = chosen.steps * chosen.step
    hours = _round_hours(begin, begin + width, chosen.hours, zone)
    shares = [(100 * (int(moment.timestamp()) - begin) / width, moment) for moment in hours]
    return [
        Tick(f"{share:.2f}%", _tick_label(moment), is_minor=_number(moment, chosen.hours) % 2 == 1)
        for share, moment in shares
        if 2 <= share <= 98
    ]


def line(values: Sequence[tuple[int, int]], top: int) -> Line:
    """A line through the middle of each step, broken where a step is missing; two wide for each step."""
    strokes, areas = [], []
    for run in _runs([(place, HEIGHT - round(HEIGHT * value / top)) for place, value in values]):
        (begin, first), (end, _height) = run[0], run[-1]
        middles = "".join(f"L{2 * place + 1} {height}" for place, height in run)
        path = f"{2 * begin} {first}{middles}H{2 * end + 2}"
        strokes.append(f"M{path}")
        areas.append(f"M{2 * begin} {HEIGHT}L{path}V{HEIGHT}Z")
    return Line("".join(strokes), "".join(areas))


def _runs(values: Sequence[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Parts without a gap."""
    found: list[list[tuple[int, int]]] = []
    for place, value in values:
        if not found or found[-1][-1][0] != place - 1:
            found.append([])
        found[-1].append((place, value))
    return found


def _round_hours(begin: int, end: int, hours: int, zone: tzinfo) -> list[datetime]:
    """When it is a multiple of ``hours`` o'clock in ``zone``."""
    first = datetime.fromtimestamp(begin, zone).date()
    last = datetime.fromtimestamp(end, zone).date()
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    moments = [datetime.combine(day, time(hour), zone) for day in days for hour in range(0, 24, hours)]
    return [moment for moment in moments if begin <= moment.timestamp() <= end and _exists(moment)]


def _exists(moment: datetime) -> bool:
    """Whether the day has this hour, and does not leave it out, as when summer time begins."""
    return moment.astimezone(timezone.utc).astimezone(moment.tzinfo).hour == moment.hour


def _number(moment: datetime, hours: int) -> int:
    """The same for one moment wherever the chart begins, so that no label comes and goes."""
    return (moment.toordinal() * 24 + moment.hour) // hours


def _tick_label(moment: datetime) -> str:
    """The time of day, and at midnight the day that begins."""
    return date_format(moment, "TIME_FORMAT" if moment.hour else "D j")


def _row(point: Point, at: int) -> Row:
    moment = datetime.fromtimestamp(at, zones.get_current_timezone())
    return Row(
        moment,
        str(2 * point.place),
        date_format(moment, "SHORT_DATETIME_FORMAT"),
        number_format(point.live, force_grouping=True),
        number_format(point.signed_in, force_grouping=True),
    )


def _description(found: Sequence[Point], rows: Sequence[Row]) -> str:
    """What somebody would see who looks at the picture."""
    order = sorted(range(len(found)), key=lambda number: found[number].live)
    least, most, last = rows[order[0]], rows[order[-1]], rows[-1]
    return _(
        "From %(begin)s to %(end)s: %(last)s live sessions at the end, %(signed_in)s of them signed in; "
        "at most %(most)s (%(most_at)s), at least %(least)s (%(least_at)s)."
    ) % {
        "begin": rows[0].time,
        "end": last.time,
        "most": most.live,
        "most_at": most.time,
        "least": least.live,
        "least_at": least.time,
        "last": last.live,
        "signed_in": last.signed_in,
    }


def _note(rows: Sequence[Row]) -> str:
    how = _(
        "They are counted every 5 minutes while this page is open, and wherever “manage.py typed_sessions reap” runs."
    )
    if not rows:
        return _("Nothing was measured in this time.") + " " + how
    return _("There is one measurement so far, and a line needs two.") + " " + how
