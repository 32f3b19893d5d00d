from __future__ import annotations

import pytest

from roadmask.engines.errors import InputError
from roadmask.streaming.camera_names import camera_name, check_camera_name


@pytest.mark.parametrize("name", ["front", "rear_2", "CAM-0", "_", "0"])
def test_a_name_is_returned(name: str) -> None:
    assert check_camera_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "../a", "a.b", "é", "a\n"])
def test_a_name_that_is_no_folder_everywhere_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a camera"):
        check_camera_name(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [("drive 1.mp4", "drive_1_mp4"), ("10.0.0.2", "10_0_0_2"), ("-rear-", "rear"), ("(..)", ""), ("", "")],
)
def test_a_name_is_made_of_any_text(text: str, name: str) -> None:
    assert camera_name(text) == name
