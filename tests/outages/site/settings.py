"""Those of the other sites, with the engine that the test wants."""

import os

from tests.web_servers.site.settings import *  # noqa: F403  # which are module attributes alone

ROOT_URLCONF = "tests.outages.site.pages"
SESSION_ENGINE = f"typed_sessions.backends.{os.environ['TYPED_SESSIONS_SITE_ENGINE']}"
