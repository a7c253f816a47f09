"""What is known of uploads."""

import pytest

from mirror.plugin.uploads import upload_stage


@pytest.mark.parametrize(
    ("last_modified", "time"),
    [
        ("Fri, 20 Nov 2026 19:40:36 GMT", "2026-11-20T19:40:36.000000Z"),
        ("Fri, 20 Nov 2026 20:40:36 +0100", "2026-11-20T19:40:36.000000Z"),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("today", None),
        ("", None),
        (None, None),
    ],
)
def test_the_time_of_an_upload_is_that_of_pep_700_or_none(
    last_modified: str | None, time: str | None
) -> None:
    """A file that was pushed from a mirror has the upstream's header, which may be nonsense."""
    assert upload_stage.upload_time(last_modified) == time
