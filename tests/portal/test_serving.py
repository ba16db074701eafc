"""Starting the site, and being told why it does not start."""

from __future__ import annotations

import signal
import subprocess

import pytest
from tests.portal.conftest import free_port
from tests.portal.visitors import COMMAND

from brainscore_ops.portal.app import Portal


def test_a_site_without_its_secrets_does_not_start_and_says_what_is_missing(portal, tmp_path):
    environment = {**portal.environment, "BRAINSCORE_OPS_STATE": str(tmp_path)}
    done = subprocess.run(
        [COMMAND, "serve", "--port", str(free_port())], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "local/database" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_portal_is_no_guest_in_a_server_that_runs_code():
    from jupyter_server.serverapp import ServerApp

    from brainscore_ops.portal.errors import NotForPublicServerError

    guest = Portal(serverapp=ServerApp())
    with pytest.raises(NotForPublicServerError, match="runs code"):
        guest.initialize_settings()


def test_it_ends_at_once_when_it_is_told_to(portal):
    port = free_port()
    command = [COMMAND.parent / "jupyter", "portal", "--port", str(port)]
    process = subprocess.Popen(command, env=portal.environment, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if f"The portal is at http://127.0.0.1:{port}/" in line:
            break
    process.send_signal(signal.SIGTERM)
    rest = process.stderr.read()
    assert process.wait(15) == 0, rest
    assert "Traceback" not in rest


@pytest.mark.parametrize("given", [("--host", "nowhere.invalid"), ("--port", "99999")])
def test_where_nothing_can_listen_is_told_before_anything_starts(portal, given):
    done = subprocess.run(
        [COMMAND, "serve", *given], env=portal.environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert given[1] in done.stderr
