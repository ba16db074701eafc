import pytest

from brainscore_ops.notify.errors import BadRecipientError
from brainscore_ops.plugins.archive import ArchiveRefusedError
from brainscore_ops.submissions import intake
from brainscore_ops.submissions.intake import VisibilityError
from brainscore_ops.submissions.life import timeline

from .conftest import BOB, model_files


def test_the_same_archive_from_the_same_person_is_the_same_submission(house):
    archive = house.archive(model_files("once"))
    facts = {"submitter": "Ada", "name": "once", "public": True}
    first = intake.receive(house.context, archive, email="Ada@example.org", **facts)
    again = intake.receive(house.context, archive, email="ada@example.org ", **facts)
    other = intake.receive(house.context, archive, email=BOB, **facts)
    assert first.submission == again.submission != other.submission


def test_what_is_accepted_is_kept_and_noted(house):
    submission = house.accept(model_files("kept"))
    found = timeline(house.context.database, submission)
    assert (found.state, found.plugins, found.identifiers) == ("accepted", {"models": ["kept"]}, {"models": ["kept"]})


def test_an_archive_that_was_lost_is_kept_again_when_it_is_sent_again(house):
    files = model_files("lost")
    received = house.receive(files)
    intake.accept(house.context, received, intake.validate(house.context, received))
    kept = house.context.deployment.state / "archives" / f"{received.digest}.zip"
    kept.unlink()
    again = intake.receive(
        house.context, received.archive, email="ada@example.org", submitter="Ada", name="x", public=True
    )
    intake.accept(house.context, again, intake.validate(house.context, again))
    assert kept.read_bytes() == received.archive.read_bytes()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (model_files("one_folder", "race-1"), model_files("one_folder", "race-2")),
        (model_files("folder_a", "one-identifier"), model_files("folder_b", "one-identifier")),
    ],
    ids=["folder", "identifier"],
)
def test_of_two_that_take_the_same_at_once_the_first_has_it(house, first, second):
    received = [house.receive(first), house.receive(second, BOB)]
    checked = [intake.validate(house.context, each) for each in received]
    intake.accept(house.context, received[0], checked[0])
    with pytest.raises(ArchiveRefusedError, match=r"[Aa]nother submission"):
        intake.accept(house.context, received[1], checked[1])
    assert house.states(received[1].submission) == ["received", "refused"]
    kept = {path.stem for path in (house.context.deployment.state / "archives").iterdir()}
    assert (received[0].digest in kept, received[1].digest in kept) == (True, False)


def test_a_refusal_that_comes_too_late_does_not_move_what_went_on(house):
    received = house.receive(model_files("went_on"))
    intake.accept(house.context, received, intake.validate(house.context, received))
    intake._refuse(house.context, received, ArchiveRefusedError("too late"))
    assert house.states(received.submission) == ["received", "accepted"]


def test_sending_again_does_not_change_who_sees_the_scores(house):
    archive = house.archive(model_files("visible"))
    facts = {"email": "ada@example.org", "submitter": "Ada", "name": "visible"}
    received = intake.receive(house.context, archive, public=True, **facts)
    intake.accept(house.context, received, intake.validate(house.context, received))
    with pytest.raises(VisibilityError, match="as public as before, found private"):
        intake.receive(house.context, archive, public=False, **facts)


@pytest.mark.parametrize(
    "address", ["", "nobody", "a@b@c.org", "a b@x.org", "a\n@x.org", "a@x.org\u202e", "a..b@x.org"]
)
def test_what_is_no_address_is_refused_before_anything_is_recorded(house, address):
    with pytest.raises(BadRecipientError):
        house.receive(model_files("nobody"), address)


def test_an_authors_name_cannot_bring_an_address_of_its_own(house):
    submission = house.accept(model_files("boss"), submitter="Boss <boss@brain-score.org>")
    assert timeline(house.context.database, submission).submitter == "Boss boss@brain-score.org"
