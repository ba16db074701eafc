"""Mails, sent beside what visitors wait for: a mail server that is slow or away stops nobody, and tells nobody anything."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from brainscore_ops.errors import OpsError
from brainscore_ops.notify.outbox import deliver

if TYPE_CHECKING:
    from brainscore_ops.database.connection import Database
    from brainscore_ops.settings import Deployment

LOG = logging.getLogger(__name__)


class Postman:
    """Delivers the outbox, in one thread, whenever it is told that there is something in it. The worker does so as well."""

    def __init__(self, database: Database, deployment: Deployment) -> None:
        self._database = database
        self._deployment = deployment
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="postman")
        self._called = threading.Event()

    def call(self) -> None:
        """There is something in the outbox."""
        if not self._called.is_set():  # a delivery that has not begun will find this, too
            self._called.set()
            self._thread.submit(self._deliver)

    def close(self) -> None:
        """Finish what is being delivered."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _deliver(self) -> None:
        self._called.clear()
        try:
            delivery = deliver(self._database, self._deployment)
            if delivery.unavailable is not None:
                LOG.warning("mails wait: %s", delivery.unavailable)
        except OpsError as error:
            LOG.warning("mails wait: %s", error)
        except Exception:
            LOG.exception("mails wait")
