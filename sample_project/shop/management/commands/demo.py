"""``manage.py demo``: from a fresh checkout to a shop in the browser."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from argparse import ArgumentParser
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any, NamedTuple, NoReturn

from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

HOST, PORT = "127.0.0.1", 8000


class Account(NamedTuple):
    username: str
    password: str
    group: str
    fields: dict[str, str | bool]
    permissions: tuple[str, ...] = ()


# Known to everybody who reads this: the command is for a demonstration, and serves this machine unless told otherwise.
ACCOUNTS = (
    Account(
        username="customer",
        password="demo-customer",
        group="customers",
        fields={"first_name": "Robin", "last_name": "Marlow", "email": "robin@example.com"},
    ),
    Account(
        username="admin",
        password="demo-admin",
        group="staff",
        fields={
            "first_name": "Alex",
            "last_name": "Kiln",
            "email": "alex@example.com",
            "is_staff": True,
            "is_superuser": True,
        },
    ),
    # Sees who is there, and neither what is in a session nor those of the administrator, and ends none.
    Account(
        username="support",
        password="demo-support",
        group="staff",
        fields={"first_name": "Sam", "last_name": "Bisque", "email": "sam@example.com", "is_staff": True},
        permissions=("view_livesession", "view_user"),
    ),
)


class Command(BaseCommand):
    help = "Prepares the sample shop (database, a customer, two members of staff) and serves it."
    # None before ours: what is wrong with Redis is said in one line first.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("addrport", nargs="?", help="where to serve: PORT or HOST:PORT")
        parser.add_argument("--host", help=f"the address to serve on (default: {HOST}, which is this machine alone)")
        parser.add_argument("--port", type=int, help=f"the port to serve on (default: {PORT})")
        parser.add_argument("--redis", metavar="URL", help="keep the sessions in this Redis or Valkey, not in SQLite")
        parser.add_argument("--no-serve", action="store_true", help="prepare, say what there is, and stop")

    def handle(self, *args: object, **options: Any) -> None:
        host, port = address(options)
        redis = options["redis"] or os.environ.get("TYPED_SESSIONS_DEMO_REDIS", "")
        if redis:
            require_redis(redis)
        if not options["no_serve"]:
            require_port(host, port)
        start_again_with(TYPED_SESSIONS_DEMO_REDIS=redis, TYPED_SESSIONS_DEMO_HOST="" if is_local(host) else host)
        self.check()
        call_command("migrate", verbosity=0)
        for account in ACCOUNTS:
            prepare(account)
        self.stdout.write(self.summary(host, port, redis))
        if not options["no_serve"]:
            os.environ.setdefault("DJANGO_RUNSERVER_HIDE_WARNING", "true")  # who runs a demo knows
            call_command("runserver", f"{bracketed(host)}:{port}", use_reloader=False, skip_checks=True)

    def summary(self, host: str, port: int, redis: str) -> str:
        site = f"http://{bracketed(HOST if host in ('0.0.0.0', '::') else host)}:{port}"
        links = {
            "Shop": "products",
            "Sign in": "sign-in",
            "My devices": "devices",
            "API": "api",
            "Django admin": "admin:index",
            "Live sessions": "admin:typed_sessions_livesession_changelist",
        }
        title, label = self.style.SUCCESS, self.style.MIGRATE_LABEL
        lines = [title("The shop is ready."), ""]
        lines += [f"  {label(f'{text:<13}')} {site}{reverse(view)}" for text, view in links.items()]
        lines += [f"  {label('Sessions in  ')} {without_password(redis) or settings.DATABASES['default']['NAME']}", ""]
        lines += [f"  {label(f'{who.username:<13}')} password {label(who.password)}" for who in ACCOUNTS]
        here = f"TYPED_SESSIONS_DEMO_REDIS={without_password(redis)} " if redis else ""
        verbs = {"Who is there": "list", "Tell of ends": "reap --forever"}
        lines += [
            "",
            *(f"  {label(f'{text:<13}')} {here}python manage.py typed_sessions {verb}" for text, verb in verbs.items()),
        ]
        if not is_local(host):
            lines += [
                "",
                self.style.WARNING("  Public passwords, and DEBUG is on: only for a network you trust."),
            ]
        return "\n".join([*lines, ""])


def address(options: dict[str, Any]) -> tuple[str, int]:
    host, _, port = (options["addrport"] or "").rpartition(":")
    if port and not port.isdigit():
        raise CommandError(f"{options['addrport']!r} is not PORT or HOST:PORT.")
    number = options["port"] or int(port or PORT)
    if not 0 < number < 65536:
        raise CommandError(f"{number} is not a port; one is between 1 and 65535.")
    return (options["host"] or host or HOST).strip("[]"), number


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_port(host: str, port: int) -> None:
    """Raises before anything is prepared if nothing can be served there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the server will: a port that was left a moment ago counts as free. Windows means another thing by it.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(os.name == "posix"))
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CommandError(f"Port {port} is in use. Try manage.py demo --port {port % 65535 + 1}") from error
        raise CommandError(f"Cannot serve on {host} port {port}: {error.strerror or error}.") from error


def require_redis(url: str) -> None:
    if not find_spec("django_redis"):
        raise CommandError('--redis needs django-redis. Install it: pip install "django-typed-sessions[redis]"')
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=2, socket_timeout=2, retry=Retry(NoBackoff(), 0)
        ) as client:
            client.ping()
    except ValueError as error:
        raise CommandError(f"{url!r} is not the URL of a Redis server, such as redis://127.0.0.1:6379/0.") from error
    except redis.RedisError as error:
        raise CommandError(f"The Redis at {without_password(url)} does not answer: {error}") from error


def without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://…@{after}" if at else after


def start_again_with(**environment: str) -> None:
    """Settings are read once, when a process starts, and these two come from the environment."""
    if any(os.environ.get(name, "") != value for name, value in environment.items()):
        os.environ.update(environment)
        start_again()


def start_again() -> NoReturn:
    command = [sys.executable, *sys.orig_argv[1:]]
    if os.name == "nt":  # exec would give the console back while the shop still runs
        raise SystemExit(subprocess.run(command).returncode)
    os.execv(sys.executable, command)


def prepare(account: Account) -> None:
    fields = {"is_active": True, "is_staff": False, "is_superuser": False, **account.fields}
    user, _ = User.objects.update_or_create(username=account.username, defaults=fields)
    # A password set anew, even to the same, would end the sessions that were remembered before this run.
    if not user.check_password(account.password):
        user.set_password(account.password)
        user.save()
    user.groups.add(Group.objects.get_or_create(name=account.group)[0])
    user.user_permissions.add(*Permission.objects.filter(codename__in=account.permissions))
