"""Submitting, and following a submission: the form, the list of one's own, and the page of each."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from tornado.web import stream_request_body

from brainscore_ops.errors import OpsError, UnavailableError
from brainscore_ops.plugins.archive import ArchiveRefusedError
from brainscore_ops.portal import quota, rate_limits, submission_views
from brainscore_ops.portal.errors import BadRequestError, PageNotFoundError, TooLargeError
from brainscore_ops.portal.handlers import PortalHandler, status_of
from brainscore_ops.portal.pull_request_view import find_place
from brainscore_ops.portal.submitting import Arrived, own_submission, publish, set_visibility, submit, try_again
from brainscore_ops.portal.uploads import Upload
from brainscore_ops.submissions.intake import VisibilityError

if TYPE_CHECKING:
    from pathlib import Path

    from brainscore_ops.portal.sessions import Person

LOG = logging.getLogger(__name__)

FIELD = "archive"
_CHUNK_BYTES = 1_000_000
SLACK_BYTES = 100_000
"""What a form has beside its file."""
FORGE_SECONDS = 8
"""How long a page waits for the forge."""


@stream_request_body
class UploadHandler(PortalHandler):
    """What takes a file: it is written to disk as it arrives, and gone when the request is over, however it ends."""

    upload: Upload | None = None
    refusal: OpsError | None = None
    """Why the file is not wanted, known before it arrived. It is said when it did: browsers listen to nothing before that."""

    async def prepare(self) -> None:
        await super().prepare()
        if self.request.method != "POST":
            return
        most = self.deployment.archives.archive_bytes
        # What is too large is read and thrown away, so that a browser shows the answer; what is much too large is not.
        self.request.connection.set_max_body_size(2 * most + SLACK_BYTES)  # type: ignore[union-attr]
        self.request.connection.set_body_timeout(self.deployment.portal.upload_seconds)  # type: ignore[union-attr]
        length = self.request.headers.get("Content-Length", "")
        if length.isdigit() and int(length) > 2 * most + SLACK_BYTES:
            raise TooLargeError(f"Expected a file of at most {most / 1e6:g} MB, found {int(length) / 1e6:g} MB.")
        try:
            person = self.signed_in("submit")
            await self.in_thread(self._admit, person)
        except OpsError as error:
            self.refusal = error
            return
        self.upload = Upload(
            self.request.headers.get("Content-Type", ""),
            self.deployment.state / "uploads",
            field=FIELD,
            most_bytes=most,
        )

    def check_xsrf_cookie(self) -> None:
        """The form's proof is in its body, which is not read yet: see :meth:`receive`."""

    def data_received(self, chunk: bytes) -> None:
        if self.upload is not None:
            self.upload.take(chunk)

    def receive(self) -> Upload:
        """The upload, when all of it is there.

        :raises OpsError: where it is not wanted, too large, cut off, or none
        :raises HTTPError: where the form did not come from a page of ours
        """
        if self.refusal is not None:
            raise self.refusal
        if self.upload is None:
            raise BadRequestError("expected a form with a file")
        self.upload.finish()
        self.request.arguments["_xsrf"] = [self.upload.fields.get("_xsrf", "").encode()]
        super().check_xsrf_cookie()
        return self.upload

    async def accept(self, upload: Upload, person: Person, *, name: str, public: bool) -> Arrived:
        """Check what was uploaded, and record it as a submission. Raises what :func:`submit` does."""
        if upload.file is None:
            raise BadRequestError("Expected a zip file, found none.", remedy="Choose one.")
        try:
            check = partial(submit, self.deployment, self.database, person, upload.file, name=name, public=public)
            return await asyncio.get_running_loop().run_in_executor(self.settings["checking"], check)
        finally:
            self.settings["postman"].call()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._discard()

    def on_finish(self) -> None:
        super().on_finish()
        self._discard()

    def _discard(self) -> None:
        if self.upload is not None:
            self.upload.discard()

    def _admit(self, person: Person) -> None:
        """Refuse before the file arrives what would be refused after it did."""
        with self.database.session() as session:
            rate_limits.count(session, rate_limits.UPLOADS, str(person.user_id))


class Submit(UploadHandler):
    """The form to submit with."""

    async def get(self) -> None:
        person = self.signed_in("submit")
        await self._show(person, {"public": "yes"})

    async def post(self) -> None:
        fields: dict[str, str] = {"public": "yes"}
        try:
            upload = self.receive()
            person, fields = self.signed_in("submit"), dict(upload.fields)
            arrived = await self.accept(
                upload, person, name=fields.get("name", ""), public=fields.get("public", "yes") == "yes"
            )
        except (
            ArchiveRefusedError,
            VisibilityError,
            quota.QuotaError,
            BadRequestError,
            TooLargeError,
        ) as error:
            if self.person is None:
                raise
            self.set_status(status_of(error))
            await self._show(self.person, fields, error)
            return
        self.redirect(f"/submissions/{arrived.submission}?said={'known' if arrived.known else 'accepted'}", status=303)

    async def _show(self, person: Person, fields: dict[str, str], error: OpsError | None = None) -> None:
        def stand() -> quota.Standing:
            with self.database.session() as session:
                return quota.standing(session, self.deployment, person.user_id)

        await self.render(
            "submit.html",
            fields=fields,
            error=error,
            quota=await self.in_thread(stand),
            most_bytes=self.deployment.archives.archive_bytes,
            library=self.deployment.library,
        )


class Submissions(PortalHandler):
    """One's own submissions."""

    async def get(self) -> None:
        person = self.signed_in("read")

        def gather() -> dict[str, Any]:
            with self.database.session() as session:
                return {
                    "submissions": submission_views.of_person(session, person.user_id),
                    "quota": quota.standing(session, self.deployment, person.user_id),
                }

        await self.render("submissions.html", **await self.in_thread(gather))


class SubmissionPage(PortalHandler):
    """Where a submission stands, and everything that happened to it."""

    async def get(self, number: str) -> None:
        view = await self.in_thread(submission_views.look, self.database, self.viewer, self.deployment, int(number))
        await self.render("submission.html", view=view, said=SAID.get(self.get_query_argument("said", ""), ""))


class SubmissionArchive(PortalHandler):
    """What was sent in."""

    async def get(self, number: str) -> None:
        person = self.signed_in("read")

        def find() -> Path:
            with self.database.session() as session:
                life = own_submission(session, person, int(number))
                path = self.deployment.state / life.archive_path if life.archive_path else None
            if path is None or not path.is_file():
                raise PageNotFoundError("There is no archive: it was a pull request, or was removed after its time.")
            return path

        path = await self.in_thread(find)
        self.set_header("Content-Type", "application/zip")
        self.set_header("Content-Disposition", f'attachment; filename="submission-{number}.zip"')
        self.set_header("Cache-Control", "private, no-store")
        with path.open("rb") as file:
            while chunk := await self.in_thread(file.read, _CHUNK_BYTES):
                self.write(chunk)
                await self.flush()


class SubmissionPullRequest(PortalHandler):
    """The pull request of a private submission, as it stands; that of a public one is on the forge for everybody."""

    async def get(self, number: str) -> None:
        place = await self.in_thread(find_place, self.database, self.viewer, self.deployment, int(number))
        if not place.private:
            self.redirect(place.url)
            return
        view, trouble = None, ""
        try:
            reading = asyncio.get_running_loop().run_in_executor(
                self.settings["forge_thread"], self.settings["pull_requests"].read, place.number
            )
            view = await asyncio.wait_for(reading, FORGE_SECONDS)
        except (UnavailableError, TimeoutError) as error:
            # What such errors say names hosts and secrets: that is for the log.
            LOG.warning("the pull request of submission %s cannot be read: %s", number, error or "no answer in time")
            self.set_status(503)
            self.set_header("Retry-After", "60")
            trouble = "The forge does not answer. The pull request is as it was: reload this page in a minute."
        except OpsError as error:
            LOG.error("the pull request of submission %s cannot be read: %s", number, error)  # noqa: TRY400 - no traceback: it is foreseen
            self.set_status(502)
            trouble = (
                "The forge does not show this pull request to us any more. The Brain-Score team has to look at this."
            )
        await self.render("pull-request.html", place=place, view=view, trouble=trouble)


class SubmissionVisibility(PortalHandler):
    """Who sees the scores."""

    async def post(self, number: str) -> None:
        person, public = self.signed_in("account"), self.get_body_argument("public", "") == "yes"

        def change() -> None:
            with self.database.session() as session:
                set_visibility(session, person, int(number), public=public)

        await self.in_thread(change)
        self.redirect(f"/submissions/{number}?said={'public' if public else 'hidden'}", status=303)


class SubmissionPublish(PortalHandler):
    """A private submission becomes public, code and scores."""

    async def post(self, number: str) -> None:
        person = self.signed_in("account")

        def ask() -> None:
            with self.database.session() as session:
                publish(session, self.deployment, person, int(number))

        await self.in_thread(ask)
        self.redirect(f"/submissions/{number}?said=publishing", status=303)


class SubmissionAgain(PortalHandler):
    """Once more what failed by our fault."""

    async def post(self, number: str) -> None:
        person = self.signed_in("submit")

        def ask() -> None:
            with self.database.session() as session:
                try_again(session, self.deployment, person, int(number))

        await self.in_thread(ask)
        self.redirect(f"/submissions/{number}?said=again", status=303)


SAID = {
    "accepted": "Your submission is accepted. This page follows it; a receipt is on its way to you by mail.",
    "known": "You sent this archive before: this is where it stands.",
    "public": "Everybody sees the scores now.",
    "hidden": "You and the Brain-Score team alone see the scores now.",
    "publishing": "It will be proposed to the public library. With the merge, code and scores are public.",
    "again": "It will be tried again.",
}

_N = r"([0-9]{1,9})"
ROUTES: list[tuple[str, type[PortalHandler]]] = [
    (r"/submit", Submit),
    (r"/submissions", Submissions),
    (rf"/submissions/{_N}", SubmissionPage),
    (rf"/submissions/{_N}/archive", SubmissionArchive),
    (rf"/submissions/{_N}/pull-request", SubmissionPullRequest),
    (rf"/submissions/{_N}/visibility", SubmissionVisibility),
    (rf"/submissions/{_N}/publish", SubmissionPublish),
    (rf"/submissions/{_N}/again", SubmissionAgain),
]
