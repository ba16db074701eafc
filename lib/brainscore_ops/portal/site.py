"""What every page knows of the site that it is a part of."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from brainscore_ops.settings import Deployment


@dataclass(frozen=True)
class Site:
    """The site of a deployment."""

    name: str
    domain: str
    """What the database calls the domain that the library is for: ``vision``."""
    base_url: str
    """The start of every link in a mail, without a slash at its end: never taken from what a visitor sends."""
    secure: bool
    """Whether visitors come by TLS: cookies are then sent by no other way."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    """From whom ``X-Forwarded-For`` is believed."""

    @classmethod
    def of(cls, deployment: Deployment, *, own_address: str) -> Site:
        """The site of a deployment.

        :param own_address: where the server itself listens: the site's address where the settings name none
        """
        settings = deployment.portal
        base_url = (deployment.mail.website or own_address).rstrip("/")
        return cls(
            name=settings.name,
            domain=deployment.library.domain,
            base_url=base_url,
            secure=urlsplit(base_url).scheme == "https",
            trusted_proxies=tuple(ip_network(each) for each in settings.trusted_proxies),
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
