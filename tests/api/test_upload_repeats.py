"""A sender that never got the answer to its last piece sends it again."""

from app.storage.arriving import PART_BYTES
from tests.api import samples
from tests.api.filed import keys_of, row_of
from tests.api.filing import Filing
from tests.api.problems import problem

CONTENT = samples.pdf(size=PART_BYTES + 5000)
LAST = CONTENT[PART_BYTES:]


def sent(filing: Filing) -> dict[str, object]:
    """Send a file of two stretches, and lose the answer to the second."""
    announced = dict(filing.announce("document", CONTENT).get_json())
    assert filing.send(announced, CONTENT[:PART_BYTES]).status_code == 204
    filing.send(announced, LAST, offset=PART_BYTES)
    return announced


def test_a_last_piece_that_comes_twice_is_in_the_file_once(filing: Filing) -> None:
    """Its sender is told to ask, hears that all is there, and the file is what was sent."""
    announced = sent(filing)
    stored = len(keys_of(filing))
    problem(filing.send(announced, LAST, offset=PART_BYTES), 409, "upload_offset")
    told = filing.progress(announced)
    assert told.headers["Upload-Offset"] == told.headers["Upload-Length"] == str(len(CONTENT))
    assert len(keys_of(filing)) == stored
    filing.check(str(announced["id"]))
    assert filing.content(str(announced["id"])) == CONTENT


def test_it_may_come_after_the_file_was_checked(filing: Filing) -> None:
    """The sender was off for a while; the file stays what it is."""
    announced = sent(filing)
    filing.check(str(announced["id"]))
    before = row_of(filing, str(announced["id"]))
    problem(filing.send(announced, LAST, offset=PART_BYTES), 409, "upload_offset")
    assert filing.progress(announced).headers["Upload-Offset"] == str(len(CONTENT))
    after = row_of(filing, str(announced["id"]))
    assert (after.state, after.content_id) == ("available", before.content_id)
    assert filing.content(str(announced["id"])) == CONTENT
