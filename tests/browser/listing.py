"""The list of live sessions as somebody sees it in a browser, whatever the theme."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.browser.devices import LIST

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

HERE = "this is you"


class Listing:
    """What is on the page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, query: str = "") -> Listing:
        self.page.goto(LIST + query)
        return self

    def rows(self) -> list[str]:
        """The words of each row."""
        return [" ".join(row.inner_text().split()) for row in self._rows().all()]

    def _rows(self) -> Locator:
        return self.page.locator("#result_list tbody tr")

    def row(self, words: str) -> Locator:
        """The one with those words in it."""
        return self._rows().filter(has_text=words)

    def wait_for(self, number: int) -> None:
        """Until so many rows are there."""
        if number:
            self._rows().nth(number - 1).wait_for()
        self._rows().nth(number).wait_for(state="detached")

    def search(self, words: str) -> None:
        self.page.locator("#searchbar").fill(words)
        self.page.locator("#searchbar").press("Enter")
        self.page.wait_for_load_state()

    def choose(self, name: str) -> None:
        """Clicks on that filter."""
        self.page.locator("#changelist-filter").get_by_role("link", name=name, exact=True).click()

    def open_session(self, words: str) -> None:
        """The page of the session in whose row those words are."""
        self.row(words).locator("th a").click()
        self.page.wait_for_url(re.compile("/change/"))

    def tick(self, words: str) -> None:
        self.row(words).locator("input.action-select").check()

    def run_action(self, label: str) -> None:
        self.page.locator("select[name=action]").select_option(label=label)
        self.page.locator("button[name=index]").first.click()
