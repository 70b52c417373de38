"""Whether a room is told, as somebody comes in, that its session has files."""

from tests.api import samples
from tests.api.filing import Filing
from tests.api.in_call import someone
from tests.api.prosody import Prosody


def test_the_door_says_whether_there_is_anything_to_ask_for(
    filing: Filing, prosody: Prosody
) -> None:
    """Also what is still on its way: its sender's client has it in its list."""
    doctor = someone(filing.person("doctor")).question()
    assert prosody.ask(**doctor)["files"] is False

    content = samples.pdf()
    announced = filing.announce("document", content).get_json()
    assert prosody.ask(**doctor)["files"] is True

    file = filing.finish(announced, content)
    assert prosody.ask(**doctor)["files"] is True

    assert filing.hospital.delete(f"{filing.files}/{file['id']}").status_code == 200
    assert prosody.ask(**doctor)["files"] is False
