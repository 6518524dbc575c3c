#!/usr/bin/env python
"""Django's commands for the sample project; ``manage.py demo`` prepares and serves it."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sample_project.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError as error:
        raise SystemExit(f'{error}. Install the project first: pip install -e ".[demo]"') from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
