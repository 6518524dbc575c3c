"""The project with django-unfold."""

from tests.browser.site import settings as configured
from tests.browser.site.settings import *  # noqa: F403  # settings are a namespace

INSTALLED_APPS = ["unfold", *configured.INSTALLED_APPS]
ADMIN = "tests.browser.site.unfolded"
# Its pages have scripts in them, and expressions that are evaluated.
POLICY = ""
