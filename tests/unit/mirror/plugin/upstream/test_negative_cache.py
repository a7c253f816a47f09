"""How long a project counts as missing."""

from mirror.plugin.upstream.negative_cache import NegativeCache


def test_a_project_is_missing_for_its_time_or_until_it_is_found() -> None:
    """A new project must be found soon, and a wrong name must not be asked for all the time."""
    missing = NegativeCache()
    missing.add("demo", 60)
    missing.add("over", 0)
    assert ("demo" in missing, "over" in missing, "other" in missing) == (True, False, False)
    missing.discard("demo")
    missing.discard("other")
    assert "demo" not in missing
