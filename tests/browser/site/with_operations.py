"""The project with an admin site of its own."""

from tests.browser.site.settings import *  # noqa: F403  # settings are a namespace

ADMIN = "tests.browser.site.operations"
