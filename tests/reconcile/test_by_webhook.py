"""An event of the forge leads, by way of the portal, the queue and a worker, to a merged and scored pull request."""

from __future__ import annotations

import json
import time

import pytest

from brainscore_ops import services
from brainscore_ops.events import WEBHOOKS
from brainscore_ops.forge.embedded.webhooks import add_hook, deliveries_of, redeliver, remove_hook
from brainscore_ops.queue.jobs import JobState, jobs
from brainscore_ops.settings import ForgeSecret, resolve_secret

from .conftest import Place, metric, of_library

WAY = ["test_plugins", "merge", "score_plugins", "publish"]


@pytest.mark.timeout(600)
def test_a_pull_request_on_the_forge_is_tested_merged_and_scored_by_a_worker(place: Place) -> None:
    secret = resolve_secret(place.deployment, place.deployment.forge.secret, ForgeSecret).webhook_secret
    store = services.forge_store(place.deployment)
    repository = store.repository(place.deployment.library.repository)
    with place.served() as url:
        hook = add_hook(
            store,
            repository,
            url=f"{url}/webhooks/github",
            secret=secret.get_secret_value(),
            events=tuple(sorted(WEBHOOKS)),
        )
        pull = place.by_hand(of_library(metric("by_webhook")))
        deadline = time.monotonic() + 30
        while not jobs(place.deployment, states={JobState.WAITING}):
            assert time.monotonic() < deadline, deliveries_of(store, hook)
            time.sleep(0.1)
        drained = place.command("worker", "--drain")
        assert drained.returncode == 0, drained.stderr
        assert place.context.forge.pull_request(pull.number).merged
        done = {job.runbook: job for job in reversed(jobs(place.deployment))}
        assert {done[step].state for step in WAY} == {JobState.SUCCEEDED}
        assert done["test_plugins"].by == "webhook:pull_request"
        assert done["publish"].by == "queue"

        # The forge sends it once more, as its owner may ask it to: it is known, and nothing is run.
        before = len(jobs(place.deployment))
        redeliver(store, [each for each in deliveries_of(store, hook) if each.event == "pull_request"][-1])
        while any(each.status == "pending" for each in deliveries_of(store, hook)):
            time.sleep(0.1)
        assert json.loads(deliveries_of(store, hook)[0].answer)["known"]
        assert len(jobs(place.deployment)) == before
        remove_hook(store, hook)
