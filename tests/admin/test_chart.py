"""The chart of sessions over time: which points, lines, ticks and words it has."""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone as zones
from django.utils import translation

from typed_sessions.admin.chart import (
    BOTTOM,
    DAY,
    TOP,
    WEEK,
    Chart,
    Line,
    Point,
    Range,
    beginning,
    chart,
    line,
    points,
    scale,
    time_ticks,
    value_ticks,
)
from typed_sessions.stores.statistics import Sample

NOW = int(datetime(2026, 11, 22, 14, 7, tzinfo=timezone.utc).timestamp())
"""A Sunday."""
BERLIN = ZoneInfo("Europe/Berlin")


def sample(ago: int, live: int, signed_in: int = 0) -> Sample:
    """Taken `ago` seconds before now."""
    return Sample(at=NOW - ago, live=live, signed_in=signed_in, started=0)


def local(zone: ZoneInfo, *moment: int) -> int:
    return int(datetime(*moment, tzinfo=zone).timestamp())  # type: ignore[arg-type, misc]  # a moment has no fold


def labels(begin: int, chosen: Range, zone: ZoneInfo) -> list[str]:
    return [tick.label for tick in time_ticks(begin, chosen, zone)]


def drawn(*samples: Sample, chosen: Range = DAY) -> Chart:
    return chart(samples, chosen, NOW)


@pytest.mark.parametrize(("chosen", "step", "length"), [(DAY, 900, 86_400), (WEEK, 3600, 7 * 86_400)])
def test_left_edge_is_whole_steps_ago(chosen: Range, step: int, length: int) -> None:
    """The chart ends with the step that is under way, and is as long as it says."""
    begin = beginning(chosen, NOW)
    assert begin % step == 0
    assert 0 < begin + length - NOW <= step


def test_point_is_the_highest_of_its_step() -> None:
    """Of the samples of a step each number is the highest, on its own."""
    begin = beginning(DAY, NOW)
    step = [Sample(begin + 900, 5, 4, 0), Sample(begin + 1200, 7, 2, 0), Sample(begin + 1799, 6, 3, 0)]
    assert points(step, DAY, begin) == [Point(1, 7, 4)]


def test_points_are_in_the_order_of_time() -> None:
    """In whichever order the samples come, and without those from before and after."""
    begin = beginning(DAY, NOW)
    given = [Sample(begin + 95 * 900, 3, 0, 0), Sample(begin, 1, 0, 0), Sample(begin - 1, 9, 9, 0)]
    assert points([*given, Sample(begin + 96 * 900, 9, 9, 0)], DAY, begin) == [Point(0, 1, 0), Point(95, 3, 0)]


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        (0, (1, 1)),
        (1, (1, 1)),
        (3, (3, 1)),
        (4, (4, 1)),
        (5, (6, 2)),
        (10, (10, 5)),
        (11, (15, 5)),
        (40, (40, 10)),
        (99, (100, 25)),
        (101, (150, 50)),
        (2713, (3000, 1000)),
        (1_000_000, (1_000_000, 250_000)),
    ],
)
def test_scale_is_round(highest: int, expected: tuple[int, int]) -> None:
    """The upper edge and the lines are round whole numbers, and nothing is above the edge."""
    assert scale(highest) == expected


def test_scale_holds_for_every_number() -> None:
    """There are one to five lines above zero, the last one at the edge, which is not below the highest number."""
    for highest in (*range(500), 12_345, 987_654_321):
        top, step = scale(highest)
        assert top >= highest
        assert top % step == 0
        assert 1 <= top // step <= 5


def test_value_ticks_go_from_zero_to_the_edge() -> None:
    """Zero is at the bottom, the largest value at the top, and large numbers are grouped."""
    ticks = value_ticks(2000, 1000)
    assert [tick.label for tick in ticks] == ["0", "1,000", "2,000"]
    assert [float(tick.place) for tick in ticks] == [BOTTOM, (TOP + BOTTOM) / 2, TOP]


def test_numbers_are_those_of_the_language() -> None:
    """A German reads 1.000, and what is drawn does not change."""
    with translation.override("de"):
        ticks = value_ticks(2000, 1000)
    assert [tick.label for tick in ticks] == ["0", "1.000", "2.000"]
    assert [tick.place for tick in ticks] == [tick.place for tick in value_ticks(2000, 1000)]


def test_hours_are_round_in_the_time_zone() -> None:
    """Ticks of a day are at 3, 6, 9 o'clock of the people who look; midnight is the day that begins."""
    begin = local(BERLIN, 2026, 11, 21, 15, 15)
    with translation.override("de"):
        assert labels(begin, DAY, BERLIN) == ["18:00", "21:00", "So 22", "03:00", "06:00", "09:00", "12:00"]
    kolkata = ZoneInfo("Asia/Kolkata")
    (first, *_rest) = time_ticks(local(kolkata, 2026, 11, 21, 15, 0), DAY, kolkata)
    assert (first.label, first.place) == ("6 p.m.", "12.50%")


def test_days_begin_at_midnight_of_the_time_zone() -> None:
    """Ticks of a week are its days."""
    begin = local(BERLIN, 2026, 11, 15, 12, 0)
    ticks = time_ticks(begin, WEEK, BERLIN)
    assert [tick.label for tick in ticks] == ["Mon 16", "Tue 17", "Wed 18", "Thu 19", "Fri 20", "Sat 21", "Sun 22"]
    assert ticks[0].place == f"{100 * 12 / 168:.2f}%"


def test_hour_that_the_day_leaves_out() -> None:
    """Where the clock goes from 2 to 3, there is no tick at 2 o'clock; where it goes back, there is one and not two."""
    every_hour = Range("day", DAY.label, DAY.title, DAY.each, steps=96, step=900, hours=1)
    with translation.override("de"):
        spring = labels(local(BERLIN, 2026, 3, 28, 12, 30), every_hour, BERLIN)
        autumn = labels(local(BERLIN, 2026, 10, 24, 12, 30), every_hour, BERLIN)
    assert "01:00" in spring
    assert "02:00" not in spring
    assert autumn.count("02:00") == 1


def test_words_at_the_edges_are_left_out() -> None:
    """A tick at the edge itself would have half of its words outside."""
    begin = local(BERLIN, 2026, 11, 21, 15, 0)
    assert "3 p.m." not in labels(begin, DAY, BERLIN)


@pytest.mark.parametrize("chosen", [DAY, WEEK])
def test_every_other_tick_is_minor(chosen: Range) -> None:
    """On a phone every other label is left out, the same ones wherever the chart begins, and of the hours no day."""
    begin = local(BERLIN, 2026, 11, 14, 13, 0)
    first, later = (time_ticks(begin + shift, chosen, BERLIN) for shift in (0, chosen.step * 8))
    assert {tick.is_minor for tick in first[::2]} != {tick.is_minor for tick in first[1::2]}
    kept = {tick.label: tick.is_minor for tick in first}
    assert all(kept.get(tick.label, tick.is_minor) == tick.is_minor for tick in later)
    if chosen is DAY:
        assert not kept["Sun 15"]


def test_line_goes_through_the_middle_of_each_step() -> None:
    """From the left edge of the first step to the right edge of the last one; the area is what is below."""
    assert line([(0, 10), (1, 5)], 10) == Line("M0 0L1 0L3 500H4", "M0 1000L0 0L1 0L3 500H4V1000Z")


def test_gap_is_a_gap() -> None:
    """Where nobody measured there is no line, and a step between two gaps is a line of its own."""
    found = line([(0, 10), (2, 10), (5, 0), (6, 10)], 10)
    assert found.stroke == "M0 0L1 0H2" + "M4 0L5 0H6" + "M10 1000L11 1000L13 0H14"
    assert found.area.count("Z") == 3


def test_chart_of_a_day() -> None:
    """Lines, grid and rows come from the same points, the highest number decides about the scale."""
    found = drawn(sample(7200, 300, 100), sample(3600, 380, 120), sample(0, 350, 110))
    assert [(row.live, row.signed_in) for row in found.rows] == [("300", "100"), ("380", "120"), ("350", "110")]
    assert [tick.label for tick in found.values] == ["0", "100", "200", "300", "400"]
    assert found.live.stroke.count("M") == found.signed_in.stroke.count("M") == 3
    assert found.view_box == "0 0 192 1000"
    assert not found.note
    assert not found.has_long_values


def test_long_numbers_need_room() -> None:
    """The template is told, since what is drawn cannot know how wide words are."""
    assert drawn(sample(3600, 1_200_000), sample(0, 900_000)).has_long_values


def test_rows_say_when() -> None:
    """In the time zone and in the format of the language."""
    with zones.override(BERLIN), translation.override("de"):
        (row,) = drawn(sample(0, 12_345, 7)).rows
    assert (row.time, row.live, row.signed_in) == ("22.11.2026 15:00", "12.345", "7")
    assert row.at.isoformat() == "2026-11-22T15:00:00+01:00"


def test_description_says_what_is_to_be_seen() -> None:
    """Who cannot see the picture hears of its highest, lowest and last number, and when that was."""
    with zones.override(timezone.utc):
        found = drawn(sample(7200, 300, 100), sample(3600, 1380, 120), sample(0, 350, 110))
    assert found.description == (
        "From 11/22/2026 noon to 11/22/2026 2 p.m.: 350 live sessions at the end, 110 of them signed in; "
        "at most 1,380 (11/22/2026 1 p.m.), at least 300 (11/22/2026 noon)."
    )


def test_nothing_measured() -> None:
    """Without a measurement nothing is drawn, and the note says how there come to be some."""
    found = drawn()
    assert found.note.startswith("Nothing was measured in this time. They are counted every 5 minutes")
    assert (found.rows, found.values, found.live) == ([], (), Line())


def test_one_measurement() -> None:
    """One point is no line; its numbers are in the table."""
    found = drawn(sample(0, 3, 1))
    assert found.note.startswith("There is one measurement so far")
    assert len(found.rows) == 1
    assert found.live == Line()
