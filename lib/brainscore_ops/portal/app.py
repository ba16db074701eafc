"""The server: ``jupyter portal`` and ``brainscore-ops serve``.

Strangers reach it, so nothing of what Jupyter servers are made for is behind it: of Jupyter's application it takes the settings,
the log and the life cycle, and serves the portal's own routes alone. What is not among :func:`routes` does not exist.
"""

from __future__ import annotations

import importlib
import pkgutil
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.identity import IdentityProvider
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from tornado.httpserver import HTTPServer
from tornado.web import Application
from traitlets import Int, Unicode, default

from brainscore_ops import portal
from brainscore_ops.database.connection import Database
from brainscore_ops.database.marker import require_marked
from brainscore_ops.database.schema import require_newest
from brainscore_ops.portal import memory
from brainscore_ops.portal.address import Address
from brainscore_ops.portal.errors import NotForPublicServerError
from brainscore_ops.portal.handlers import Asset, NotFound, PortalHandler
from brainscore_ops.portal.postman import Postman
from brainscore_ops.portal.pull_request_view import PullRequests
from brainscore_ops.portal.site import STATIC, Site
from brainscore_ops.settings import load_deployment

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BODY_BYTES = 1_000_000
"""Of a request; uploads have a limit of their own."""
HEADER_SECONDS = 75
BODY_SECONDS = 60
DATABASE_PATIENCE = 3.0
"""A visitor waits for a database that went away no longer than this."""


class NoIdentity(IdentityProvider):
    """Jupyter's accounts, tokens and passwords: there are none. The portal has accounts of its own."""

    @default("token")
    def _no_token(self) -> str:
        return ""

    def validate_security(self, app: Any, ssl_options: Any = None) -> None:
        """Nothing here runs code for whoever may come in: there is nothing to warn of."""


class PublicApplication(Application):
    """The routes of the portal and no others: all that Jupyter's application would bring along stays out."""

    def last_activity(self) -> Any:
        """For Jupyter's own bookkeeping."""
        return self.settings["started"]


class PublicServer(ServerApp):
    """A Jupyter server for strangers: it has no kernels, contents, terminals, sessions or login of Jupyter's."""

    name = "portal-server"
    default_services = ()  # type: ignore[assignment]
    port_default_value = 8000

    @default("port_retries")
    def _one_port(self) -> int:
        return 0  # a proxy looks for it there and nowhere else

    @default("reraise_server_extension_failures")
    def _is_nothing_without_its_pages(self) -> bool:
        return True

    @default("answer_yes")
    def _ends_when_it_is_told(self) -> bool:
        return True

    @default("ip")
    def _behind_a_proxy(self) -> str:
        return "127.0.0.1"

    @default("allow_unauthenticated_access")
    def _for_strangers(self) -> bool:
        return True

    @default("identity_provider_class")
    def _no_accounts_of_jupyters(self) -> type[IdentityProvider]:
        return NoIdentity

    @default("cookie_secret")
    def _nothing_is_signed(self) -> bytes:
        return secrets.token_bytes(32)

    def init_webapp(self) -> None:
        super().init_webapp()
        settings = {
            **self.web_app.settings,
            "compress_response": True,
        }  # asked for when the application is made, or never
        self.web_app = PublicApplication([], default_handler_class=NotFound, **settings)  # type: ignore[assignment]

    def init_httpserver(self) -> None:
        self._http_server = HTTPServer(
            self.web_app,
            ssl_options=self.ssl_options,
            xheaders=False,  # what a proxy says is believed by setting, see PortalHandler
            max_body_size=MOST_BODY_BYTES,
            max_header_size=64_000,
            idle_connection_timeout=HEADER_SECONDS,
            body_timeout=BODY_SECONDS,
            no_keep_alive=False,
        )
        if not self.sock:
            self._find_http_port()
        self.io_loop.add_callback(self._bind_http_server)

    def start_app(self) -> None:
        # Jupyter's own would speak of kernels and tokens, and leave files for tools that look for servers to open notebooks on.
        super(ServerApp, self).start()
        self.log.info("The portal is at %s. Ctrl-C or SIGTERM ends it.", self.display_url)


class Portal(ExtensionApp):
    """The website of a deployment."""

    name = "portal"
    description = "The website of the submission system: leaderboard, submissions, accounts."
    extension_url = "/"
    load_other_extensions = False
    serverapp_class = PublicServer
    serverapp_config = {"open_browser": False}  # noqa: RUF012 - traitlets' form
    aliases = {  # noqa: RUF012 - traitlets' form
        "deployment": "Portal.deployment_name",
        "port": "ServerApp.port",
        "host": "ServerApp.ip",
    }

    deployment_name = Unicode("local", help="the deployment: a file params/<name>.yaml").tag(config=True)
    threads = Int(6, help="how many requests may wait for the database at once").tag(config=True)
    checkers = Int(2, help="how many uploads are checked at once").tag(config=True)

    @classmethod
    def get_extension_package(cls) -> str:
        return "brainscore_ops.portal"

    def initialize_settings(self) -> None:
        server = self.serverapp
        if not isinstance(server, PublicServer):
            raise NotForPublicServerError(
                f"expected a server of the portal's own, found {type(server).__name__}, which runs code",
                remedy="Start it with `brainscore-ops serve` or `jupyter portal`.",
            )
        memory.keep_small()
        deployment = load_deployment(self.deployment_name)
        address = Address.of(deployment, own_address=f"http://{server.ip}:{server.port}")
        self.database = Database.of(deployment, patience=DATABASE_PATIENCE)
        require_newest(self.database)
        require_marked(self.database, deployment)
        self.postman = Postman(self.database, deployment)
        self.executor = ThreadPoolExecutor(self.threads, thread_name_prefix="portal")
        # A check takes seconds and three connections: pages do not wait for it, nor for the connections.
        self.checking = ThreadPoolExecutor(self.checkers, thread_name_prefix="check")
        # Nor do they wait for the forge, whose client is one thread's.
        self.forge_thread = ThreadPoolExecutor(1, thread_name_prefix="forge")
        self.settings.update(
            deployment=deployment,
            database=self.database,
            address=address,
            site=Site(deployment.library.domain),
            executor=self.executor,
            checking=self.checking,
            postman=self.postman,
            forge_thread=self.forge_thread,
            pull_requests=PullRequests(deployment, self.database),
            xsrf_cookies=True,
            xsrf_cookie_version=2,
            xsrf_cookie_name=address.cookie_name("xsrf"),
            xsrf_cookie_kwargs=address.cookie_options,
            serve_traceback=False,
        )

    def initialize_handlers(self) -> None:
        for pattern, handler in routes():
            self.handlers.append((pattern, handler))
        self.handlers.append((r"/static/(.*)", Asset, {"path": str(STATIC)}))

    async def stop_extension(self) -> None:
        """Let go of threads and connections."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.forge_thread.shutdown(wait=False, cancel_futures=True)
        self.checking.shutdown(wait=True, cancel_futures=True)
        self.postman.close()
        self.database.close()


def routes() -> Sequence[tuple[str, type[PortalHandler]]]:
    """The pattern and the handler of every page: the ``ROUTES`` of the modules that are named ``…_pages``, of ``api`` and of
    ``webhooks``.
    """
    found: list[tuple[str, type[PortalHandler]]] = []
    for module in pkgutil.iter_modules(portal.__path__):
        if module.name.endswith("_pages") or module.name in {"api", "webhooks"}:
            found += importlib.import_module(f"{portal.__name__}.{module.name}").ROUTES
    return found


main = launch_new_instance = Portal.launch_instance
