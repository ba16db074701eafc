"""The served site, and people who look at it with a program."""

from __future__ import annotations

import email
import email.policy
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import select

from brainscore_ops import services
from brainscore_ops.database.account_tables import Account
from brainscore_ops.database.brainscore_tables import User
from brainscore_ops.database.connection import Database
from brainscore_ops.database.ops_tables import now
from brainscore_ops.portal.passwords import hash_password
from brainscore_ops.settings import Deployment

COMMAND = Path(sys.executable).parent / "brainscore-ops"
PASSWORD = "four words of chance"
NUMBERS = itertools.count(1)


@dataclass
class Portal:
    """The served site, and what stands behind it."""

    url: str
    deployment: Deployment
    database: Database
    process: subprocess.Popen[bytes]
    log: Path
    environment: dict[str, str]

    def mails(self, address: str) -> list[Any]:
        """What was mailed to an address, the oldest first."""
        found = [
            email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            for path in sorted(
                services.mail_folder(self.deployment).glob("*.eml"), key=lambda path: path.stat().st_mtime
            )
        ]
        return [mail for mail in found if address in mail["To"]]

    def mail(self, address: str, subject: str, *, seconds: float = 10) -> Any:
        """The newest mail to an address whose subject holds these words; it is waited for."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [mail for mail in self.mails(address) if subject in mail["Subject"]]
            if found:
                return found[-1]
            time.sleep(0.1)
        raise AssertionError(f"no mail to {address} about {subject!r}: {[m['Subject'] for m in self.mails(address)]}")

    def link(self, address: str, subject: str) -> str:
        """The link in that mail's text."""
        text = self.mail(address, subject).get_body(("plain",)).get_content()
        return re.search(rf"{re.escape(self.url)}\S+", text).group()

    def visitor(self) -> Visitor:
        return Visitor(self)

    def make_user(self, address: str = "", *, password: str | None = None, **columns: Any) -> str:
        """A user, with the password that all have in these tests; returns the address."""
        address = address or f"person{next(NUMBERS)}@example.org"
        facts = {"is_active": True, "is_staff": False, "is_superuser": False, **columns}
        with self.database.session() as session:
            user = User(
                email=address, password=password or _HASHES.setdefault(PASSWORD, hash_password(PASSWORD)), **facts
            )
            session.add(user)
            session.flush()
            session.add(Account(user_id=user.id, name="Ada Example", created_at=now()))
        return address

    def member(self, address: str = "", **columns: Any) -> Visitor:
        """A visitor who is signed in to an account of their own."""
        visitor = self.visitor()
        visitor.address = self.make_user(address, **columns)
        answer = visitor.submit("/sign-in", email=visitor.address, password=PASSWORD)
        assert answer.status_code == 303, answer.text
        return visitor

    def user(self, address: str) -> User:
        with self.database.session() as session:
            return session.scalars(select(User).where(User.email == address)).one()


_HASHES: dict[str, str] = {}


@dataclass
class Visitor:
    """Somebody who looks at the site with a program, from an internet address of their own."""

    portal: Portal
    session: requests.Session = field(default_factory=requests.Session)
    address: str = ""

    def __post_init__(self) -> None:
        number = next(NUMBERS)
        self.session.headers["X-Forwarded-For"] = f"198.51.{number // 250}.{number % 250 + 1}"

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.portal.url + path, **{"timeout": 30, "allow_redirects": False, **options})

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.session.post(self.portal.url + path, **{"timeout": 60, "allow_redirects": False, **options})

    def token(self, page: str) -> str:
        """What the forms of a page prove themselves with."""
        return re.search(r'name="_xsrf" value="([^"]+)"', self.get(page).text).group(1)

    def submit(self, path: str, *, page: str = "", **fields: Any) -> requests.Response:
        """Fill in a form as its page has it, and send it."""
        return self.post(path, data={"_xsrf": self.token(page or path), **fields})


def eventually(condition: Callable[[], Any], *, seconds: float = 10) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False
