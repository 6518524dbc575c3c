"""Browsers, each with cookies of its own, on some device, in some language. They note what goes wrong in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.browser.servers import Site
from tests.browser.site.people import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Request

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
LIST = "/admin/typed_sessions/livesession/"
_PHONE_WIDTH, _HEIGHT = 375, 800
# What a theme asks of other hosts is its own affair, and is not to be had here.
_FOREIGN = re.compile(r"^https?://(?!127\.0\.0\.1[:/])")


@dataclass
class Device:
    """One browser with one page."""

    site: Site
    page: Page
    said: list[str] = field(default_factory=list)
    """What the console says, all of it."""
    errors: list[str] = field(default_factory=list)
    """What went wrong: errors on the console, in scripts, and requests for what other hosts have."""
    pardoned: list[str] = field(default_factory=list)
    """Patterns of errors that this test asks for."""

    def watch(self, page: Page) -> None:
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("request", self._asked)

    def _hear(self, kind: str, text: str) -> None:
        self.said.append(text)
        if kind == "error":
            self.errors.append(text)

    def _asked(self, request: Request) -> None:
        if _FOREIGN.match(request.url):
            self.errors.append(f"asked another host: {urlsplit(request.url).netloc}")

    def complaints(self) -> list[str]:
        """The errors, but for those that are pardoned."""
        return [error for error in self.errors if not any(re.search(pattern, error) for pattern in self.pardoned)]

    def enter(self, name: str) -> None:
        """Signs in without a form."""
        self.page.goto(f"/control/enter/?username={name}")
        self.page.get_by_text(f"Hello, {name}.").wait_for()

    def sign_in(self, name: str, path: str = "/sign-in/") -> None:
        """Signs in as people do, by the form that is at `path`."""
        self.page.goto(path)
        self.page.locator("input[name=username]").fill(name)
        self.page.locator("input[name=password]").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda url: "login" not in url and "sign-in" not in url)

    def look(self, path: str = LIST) -> Page:
        """Goes there, and answers the page."""
        self.page.goto(path)
        return self.page

    def tab(self) -> Page:
        """Another tab of the same browser."""
        page = self.page.context.new_page()
        self.watch(page)
        return page

    def tab_to(self, target: Locator) -> None:
        """Presses the tabulator key until the target has the focus."""
        target.wait_for()
        for _ in range(150):
            self.page.keyboard.press("Tab")
            if target.evaluate("target => target === document.activeElement"):
                return
        raise AssertionError(f"the keyboard does not lead to {target}")

    def hide(self, hidden: bool = True) -> None:
        """Another window covers the page, or does not any more. Without a screen, the browser has to be told."""
        self.page.evaluate(
            """hidden => {
                Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
                const state = hidden ? "hidden" : "visible";
                Object.defineProperty(document, "visibilityState", {configurable: true, get: () => state});
                document.dispatchEvent(new Event("visibilitychange", {bubbles: true}));
            }""",
            hidden,
        )

    def overflows(self) -> list[str]:
        """What is wider than the page, and makes it scroll sideways; nothing if it does not."""
        found: list[str] = self.page.evaluate(
            """() => {
                const width = document.documentElement.clientWidth;
                if (document.documentElement.scrollWidth <= width) return [];
                return [...document.body.querySelectorAll("*")]
                    .filter(part => part.getBoundingClientRect().right > width + 1)
                    .map(part => `${part.tagName.toLowerCase()}#${part.id}.${part.className}`);
            }"""
        )
        return found


NewDevice = Callable[..., Device]


class Devices:
    """Makes those of a test, at one site."""

    def __init__(self, chromium: Browser, site: Site) -> None:
        self.chromium, self.site = chromium, site
        self.all: list[Device] = []

    def new(
        self,
        agent: str = FIREFOX,
        *,
        address: str = "198.51.100.7",
        width: int = 1280,
        dark: bool = False,
        javascript: bool = True,
        language: str = "en-GB",
    ) -> Device:
        options: dict[str, Any] = {"user_agent": agent, "locale": language, "java_script_enabled": javascript}
        context = self.chromium.new_context(
            base_url=self.site.url,
            viewport={"width": width, "height": _HEIGHT},
            color_scheme="dark" if dark else "light",
            extra_http_headers={"X-Test-Address": address},
            **options,
        )
        context.route(_FOREIGN, lambda route: route.abort())
        device = Device(self.site, context.new_page())
        device.watch(device.page)
        self.all.append(device)
        return device

    def phone(self, **options: Any) -> Device:
        return self.new(IPHONE, **{"address": "192.0.2.44", "width": _PHONE_WIDTH, **options})

    def complaints(self) -> list[str]:
        return [error for device in self.all for error in device.complaints()]

    def shown(self) -> str:
        """Everything that anybody can read in any of them now, or in their consoles."""
        pages = [page for device in self.all for page in device.page.context.pages]
        said = [line for device in self.all for line in device.said]
        return "\n".join([*said, *(f"{page.url}\n{page.content()}" for page in pages)])

    def close(self) -> None:
        for device in self.all:
            device.page.context.close()
