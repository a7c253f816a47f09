"""mirror.settings_hashes: which settings differ from those of earlier, known by their hashes alone."""

from mirror import settings_hashes
from mirror.config import MirrorConfig, Upstream
from mirror.monitoring.settings import Webhook

CHANGED = MirrorConfig(threads=7, port=1, upstream=Upstream(hosts=("http://a.example",)))


def test_settings_that_differ_are_named() -> None:
    """Of [upstream] each: `hosts` counts at the server's start, `url` when `mirror init` runs."""
    earlier = settings_hashes.by_key(MirrorConfig())
    assert settings_hashes.differing(MirrorConfig(), earlier) == []
    assert settings_hashes.differing(CHANGED, earlier) == ["port", "threads", "upstream.hosts"]


def test_only_the_settings_that_are_asked_for_count() -> None:
    """Options of `mirror serve` replace others."""
    keys = {"threads", "upstream.url"}
    assert set(settings_hashes.by_key(MirrorConfig(), keys)) == keys
    assert settings_hashes.differing(CHANGED, settings_hashes.by_key(MirrorConfig()), keys) == ["threads"]


def test_a_setting_that_an_earlier_version_did_not_know_does_not_differ() -> None:
    """Its upgrade is no change of mirror.toml."""
    assert settings_hashes.differing(CHANGED, {}) == []


def test_no_setting_can_be_read_in_its_hash() -> None:
    """The address of a webhook may be a secret."""
    hook = Webhook(url="https://example.com/s3cret", secret_variable="S")
    assert "s3cret" not in str(settings_hashes.by_key(MirrorConfig(webhooks=(hook,))))
