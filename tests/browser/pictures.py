"""`python -m tests.browser.pictures [DIRECTORY]`: takes the pictures of the admin page that the documentation shows.

A server with made-up visitors is started for that, so nothing has to be prepared; `docs/images` is where they go
unless a directory is given.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.chromium import CHROMIUM
from tests.browser.devices import LIST, Devices
from tests.browser.listing import Listing
from tests.browser.servers import ROOT, Site, make_database
from tests.servers.redis import RedisServer, binaries

if TYPE_CHECKING:
    from playwright.sync_api import Page

COLOURS = 256
"""In a picture, so that it is small."""
LISTS = (("list", "ada", False, 1280), ("dark", "sam", True, 1280), ("phone", "olga", False, 375))
"""Pictures of the list: the name, who looks, whether in the dark, and the width of the window."""


@contextmanager
def busy_site() -> Iterator[Site]:
    """The project on Redis, after a day with many visitors."""
    with (
        tempfile.TemporaryDirectory() as home,
        RedisServer(next(iter(binaries().values()))) as redis,
        Site(make_database(Path(home)), redis=redis) as site,
    ):
        site.let_a_day_pass()
        yield site


def take(site: Site, directory: Path) -> None:
    """All pictures, into the directory."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, driver.chromium.launch(executable_path=CHROMIUM) as chromium:
        devices = Devices(chromium, site)
        visitor = devices.phone()
        visitor.sign_in("marta")
        visitor.look("/cart/?sku=moon-teapot")
        for name, who, dark, width in LISTS:
            operator = devices.new(dark=dark, width=width)
            operator.page.set_viewport_size({"width": width, "height": 1080})
            operator.enter(who)
            save(operator.look(), directory / f"admin-{name}.png")
        operator = devices.all[1]
        Listing(operator.look(f"{LIST}?q=marta")).open_session("192.0.2.44")
        save(operator.page, directory / "admin-session.png", whole=True)


def save(page: Page, file: Path, whole: bool = False) -> None:
    """What the window shows, or the whole page, in few colours."""
    from PIL import Image

    page.screenshot(path=file, full_page=whole)
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            file, optimize=True
        )


if __name__ == "__main__":
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    into.mkdir(parents=True, exist_ok=True)
    with busy_site() as busy:
        take(busy, into)
