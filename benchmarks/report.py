"""What a run says: tables for people, the budgets, and the same as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from . import budgets, flows
from .budgets import HELD_TO, REFERENCE
from .comparison import BASE, CARTS, Results
from .flows import ALL_FLOWS, Flow
from .tables import Row, Write

Cell = Callable[[Results, Flow, str], str]
Table = tuple[Row, Sequence[Row]]

_NOTHING = "-"


@dataclass(frozen=True)
class Verdict:
    """One of our engines against one budget."""

    what: str
    engine: str
    value: float
    budget: float

    @property
    def is_kept(self) -> bool:
        return self.value <= self.budget

    def __str__(self) -> str:
        return f"{_figure(self.value)} {'ok' if self.is_kept else 'over'}"


def verdicts(results: Results) -> Iterator[Verdict]:
    for engine in HELD_TO:
        for flow, trips in budgets.TRIPS.items():
            yield Verdict(f"{flow.name}: round trips", engine, results.counts[flow][engine].trips, trips)
        for flow, ratio in budgets.RATIOS.items():
            yield Verdict(f"{flow.name}: time, times {REFERENCE}", engine, results.ratio(flow, engine), ratio)
        yield Verdict("lost updates", engine, results.lost[engine].lost, budgets.LOST_UPDATES)
        for items in CARTS:
            memory = results.memory[engine][items] / results.memory[REFERENCE][items]
            yield Verdict(f"memory, {items} cart items, times {REFERENCE}", engine, memory, budgets.MEMORY_RATIO)
    yield Verdict("ids of the newest 50: round trips", HELD_TO[0], results.listing_trips, budgets.LISTING_TRIPS)
    for size, seconds in results.listing.items():
        what = f"ids of the newest 50 of {size:,}: milliseconds"
        yield Verdict(what, HELD_TO[0], seconds * 1e3, budgets.LISTING_MILLISECONDS)


def tables(results: Results, write: Write) -> Iterator[str]:
    yield write("Round trips to Redis (r) and SQL statements (q)", *_by_flow(results, _counts))
    yield write("Bytes to Redis / from Redis", *_by_flow(results, _bytes))
    yield write(f"Store: microseconds (times {REFERENCE})", *_by_flow(results, _times, flows.STORE_FLOWS))
    title = f"Requests: microseconds over a request without sessions (times {REFERENCE})"
    yield write(title, *_by_flow(results, _times, flows.REQUEST_FLOWS))
    yield write("Lost updates", *_lost(results))
    yield write("Redis: bytes per session, indices included", *_memory(results))
    yield write("Budgets", *_budgets(results))


def _by_flow(results: Results, cell: Cell, chosen: tuple[Flow, ...] = ALL_FLOWS) -> Table:
    engines = dict.fromkeys(name for flow in chosen for name in results.counts[flow] if name != BASE)
    rows = [[flow.name, *(cell(results, flow, engine) for engine in engines)] for flow in chosen]
    return ["flow", *engines], rows


def _counts(results: Results, flow: Flow, engine: str) -> str:
    counts = results.counts[flow].get(engine)
    return str(counts) if counts else _NOTHING


def _bytes(results: Results, flow: Flow, engine: str) -> str:
    counts = results.counts[flow].get(engine)
    return f"{counts.sent} / {counts.received}" if counts and counts.trips else _NOTHING


def _times(results: Results, flow: Flow, engine: str) -> str:
    if engine not in results.counts[flow]:
        return _NOTHING
    return f"{results.seconds(flow, engine) * 1e6:.0f} ({results.ratio(flow, engine):.2f})"


def _lost(results: Results) -> Table:
    head = ["engine", "lost", "refused"]
    return head, [[name, f"{lost.lost} of {lost.updates}", str(lost.refused)] for name, lost in results.lost.items()]


def _memory(results: Results) -> Table:
    rows = [
        [engine, *(f"{memory[items]:.0f} ({memory[items] / results.memory[REFERENCE][items]:.2f})" for items in CARTS)]
        for engine, memory in results.memory.items()
    ]
    return ["engine", *(f"{items} cart items" for items in CARTS)], rows


def _budgets(results: Results) -> Table:
    found: dict[str, dict[str, Verdict]] = {}
    for verdict in verdicts(results):
        found.setdefault(verdict.what, {})[verdict.engine] = verdict
    rows = []
    for what, by in found.items():
        budget = next(iter(by.values())).budget
        rows.append([what, _figure(budget), *(str(by[name]) if name in by else _NOTHING for name in HELD_TO)])
    return ["budget", "at most", *HELD_TO], rows


def _figure(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def as_json(results: Results, machine: Mapping[str, str]) -> dict[str, Any]:
    thrown_away, rounds = results.thrown_away()
    return {
        "machine": dict(machine),
        "rounds": {"all": rounds, "thrown away": thrown_away, "raw GET, microseconds": results.usual_probe * 1e6},
        "counts": _each(results, lambda flow, name: asdict(results.counts[flow][name])),
        "times": _each(results, lambda flow, name: _time(results, flow, name)),
        "lost updates": {name: asdict(lost) for name, lost in results.lost.items()},
        "memory": results.memory,
        "listing, milliseconds": {size: seconds * 1e3 for size, seconds in results.listing.items()},
        "budgets": [{**asdict(verdict), "kept": verdict.is_kept} for verdict in verdicts(results)],
    }


def _each(results: Results, cell: Callable[[Flow, str], object]) -> dict[str, dict[str, object]]:
    return {flow.name: {name: cell(flow, name) for name in by} for flow, by in results.counts.items()}


def _time(results: Results, flow: Flow, engine: str) -> dict[str, float]:
    return {"microseconds": results.seconds(flow, engine) * 1e6, "ratio": results.ratio(flow, engine)}
