"""The promises of release.config.assets."""

from typing import Any

import pytest

from packhorse import settings
from packhorse.errors import PackhorseError
from release.config.release_toml import ReleaseConfig

OWN = {"bucket": "shop-static", "url": "https://static.example.com/shop"}


def parse(**table: Any) -> ReleaseConfig:  # noqa: ANN401  # whatever the file has
    given = {"app": "shop", "static": {"folder": "shop/static"}, "assets": OWN, **table}
    return settings.parse(
        ReleaseConfig, {key: value for key, value in given.items() if value}, "release.toml"
    )


def test_deploys_to_servers_push_and_those_to_this_machine_only_when_named() -> None:
    """Nobody wants a trial on a laptop to fill the bucket of production."""
    found = parse(targets={"production": {"hosts": ["web1"]}, "local": {}})
    assert found.pushed_to("production")
    assert not found.pushed_to("local")
    assert not found.pushed_to("web9"), "its releases would be unknown to a prune"
    assert parse(assets={**OWN, "targets": ["local"]}).pushed_to("local")


def test_the_address_ends_in_a_slash_and_so_does_the_folder() -> None:
    """An application puts names behind it; another application's folder may begin alike."""
    found = parse().assets
    assert found
    assert (found.url, found.folder("shop")) == ("https://static.example.com/shop/", "shop/")
    other = parse(assets={**OWN, "prefix": "a/b/"}).assets
    assert other
    assert other.folder("shop") == "a/b/"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"static": None}, "assets: which files"),
        ({"assets": {**OWN, "targets": ["staging"]}}, "assets.targets: there is no target staging"),
        ({"assets": {**OWN, "endpoint": "http://s3.example.com"}}, "assets.endpoint: by http://"),
        ({"assets": {**OWN, "aws_secret_access_key": "s3cret"}}, "assets.aws_secret_access_key: unknown key"),
        ({"assets": {**OWN, "endpoint": "https://key:s3cret@s3.example.com"}}, "assets.endpoint: needs"),
        ({"assets": {**OWN, "bucket": "a/b"}}, "assets.bucket"),
        ({"assets": {**OWN, "prefix": "/a"}}, "assets.prefix"),
        ({"assets": {**OWN, "prefix": "a//b"}}, "assets.prefix"),
        ({"assets": {"bucket": "shop"}}, "assets.url"),
    ],
)
def test_what_does_not_fit_is_refused(table: dict[str, Any], said: str) -> None:
    """And no secret is repeated: it does not belong there at all."""
    with pytest.raises(PackhorseError, match=said) as caught:
        parse(**table)
    assert "s3cret" not in caught.value.message
