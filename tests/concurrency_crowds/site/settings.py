"""Those of the other sites, with pages of its own."""

from tests.web_servers.site.settings import *  # noqa: F403  # which are module attributes alone

ROOT_URLCONF = "tests.concurrency_crowds.site.pages"
