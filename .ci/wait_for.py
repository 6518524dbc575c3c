"""``wait_for.py URL``: succeeds as soon as the URL answers with a page, fails when it has not within a minute."""

import sys
import time
import urllib.request


def main(url: str) -> str | None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return None
        except OSError:
            time.sleep(0.5)
    return f"no page from {url}"


sys.exit(main(sys.argv[1]))
