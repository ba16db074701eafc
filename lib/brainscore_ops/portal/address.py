"""How the site is reached from outside: what links in mails begin with, whether by TLS, through which proxies."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from brainscore_ops.settings import Deployment


@dataclass(frozen=True)
class Address:
    """Where a deployment's site is."""

    url: str
    """The start of every link in a mail, without a slash at its end: never taken from what a visitor sends."""
    secure: bool
    """Whether visitors come by TLS: cookies are then sent by no other way."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    """From whom ``X-Forwarded-For`` is believed."""

    @classmethod
    def of(cls, deployment: Deployment, *, own_address: str) -> Address:
        """Where the site of a deployment is.

        :param own_address: where the server itself listens: the site's address where the settings name none
        """
        url = (deployment.mail.website or own_address).rstrip("/")
        return cls(
            url=url,
            secure=urlsplit(url).scheme == "https",
            trusted_proxies=tuple(ip_network(each) for each in deployment.portal.trusted_proxies),
        )

    def trusts(self, address: str) -> bool:
        """Whether somebody at that address is one of our proxies."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self.trusted_proxies)

    def cookie_name(self, name: str) -> str:
        """A cookie's name; with TLS it has the prefix that keeps other hosts of the domain from setting it."""
        return f"__Host-{name}" if self.secure else name

    @property
    def cookie_options(self) -> dict[str, Any]:
        """How every cookie is set."""
        return {"httponly": True, "samesite": "Lax", "secure": self.secure, "path": "/"}
