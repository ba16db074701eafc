"""What stops a migration."""

from __future__ import annotations

from brainscore_ops.errors import Fault, RefusedError, StepFailedError


class MigrationRefusedError(RefusedError):
    """A rule does not let a migration go on."""

    code = "migration-refused"
    fault = Fault.OPERATOR


class LintError(MigrationRefusedError):
    """squawk finds something in a revision's SQL that the revision does not account for."""

    code = "migration-lint"


class RehearsalError(StepFailedError):
    """A migration did on a copy of the database what it must not do. The database itself was not touched."""

    code = "migration-rehearsal"
    fault = Fault.OPERATOR


class MigrationFailedError(StepFailedError):
    """A migration could not be applied; the database is as it was."""

    code = "migration-failed"
    fault = Fault.OPERATOR
