"""``POST /webhooks/github``: what the forge tells us happened, signed with a secret that it and we have."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from tornado.web import HTTPError, stream_request_body

from brainscore_ops.errors import Fault, RefusedError
from brainscore_ops.portal.deliveries import receive
from brainscore_ops.portal.errors import NotAllowedError, PageNotFoundError, TooLargeError
from brainscore_ops.portal.handlers import PortalHandler
from brainscore_ops.settings import ForgeSecret, resolve_secret

if TYPE_CHECKING:
    from brainscore_ops.settings import Deployment


class NotJsonError(RefusedError):
    """The body of an event is not what its header says."""

    code = "not-json"
    fault = Fault.OPERATOR


class UnsignedEventError(NotAllowedError):
    """An event is not signed by somebody who knows the secret."""

    code = "unsigned-event"


@stream_request_body
class GitHubWebhook(PortalHandler):
    """An event. The answer says which jobs it led to, or that it had come before."""

    MOST_HEADER: ClassVar = 100

    async def prepare(self) -> None:
        await super().prepare()
        self._parts: list[bytes] = []
        if self.request.method != "POST":
            return
        self._secret = await self.in_thread(_secret_of, self.deployment)
        if not self._secret:
            raise PageNotFoundError("no webhooks are listened to", remedy="Give the forge's secret a webhook_secret.")
        if self.request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            raise HTTPError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        most = self.deployment.portal.webhook_bytes
        if int(self.request.headers.get("Content-Length") or 0) > most:
            raise TooLargeError(f"expected an event of at most {most:,} bytes, found more")
        self.request.connection.set_max_body_size(most)  # type: ignore[union-attr]

    def data_received(self, chunk: bytes) -> None:
        self._parts.append(chunk)

    async def post(self) -> None:
        """Act on it."""
        body = b"".join(self._parts)
        expected = "sha256=" + hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
        found = self.request.headers.get("X-Hub-Signature-256", "")
        if not hmac.compare_digest(expected.encode(), found.encode()):
            raise UnsignedEventError(
                "expected an event that is signed with this deployment's secret, found none or another signature",
                remedy="Set the same secret at the repository's webhook and as webhook_secret of the forge's secret.",
            )
        delivery, event = (self._header(name) for name in ("X-GitHub-Delivery", "X-GitHub-Event"))
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise NotJsonError("expected JSON as the event's body, found something else") from None
        receipt = await self.in_thread(
            receive, self.deployment, self.database, delivery=delivery, event=event, body=body, document=document
        )
        self.set_status(HTTPStatus.OK if receipt.known or not receipt.jobs else HTTPStatus.ACCEPTED)
        self.finish({"event": event, "jobs": list(receipt.jobs), "known": receipt.known})

    def check_xsrf_cookie(self) -> None:
        """It comes from no page: its signature is its proof."""

    def write_error_page(self, title: str, message: str, remedy: str) -> None:
        self.finish({"error": title, "message": message, "remedy": remedy})

    def _header(self, name: str) -> str:
        value = self.request.headers.get(name, "")
        if not re.fullmatch(rf"[\w.-]{{1,{self.MOST_HEADER}}}", value):
            raise HTTPError(HTTPStatus.BAD_REQUEST)
        return value


def _secret_of(deployment: Deployment) -> str:
    return resolve_secret(deployment, deployment.forge.secret, ForgeSecret).webhook_secret.get_secret_value()


ROUTES: list[tuple[str, type[PortalHandler]]] = [(r"/webhooks/github", GitHubWebhook)]
