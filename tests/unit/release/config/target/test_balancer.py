"""The promises of release.config.target.balancer."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.target.target import Target

TARGET = '[targets.production]\nhosts = ["web1", "web2"]\n'


def load(folder: Path, text: str) -> Target:
    (folder / "release.toml").write_text(f'app = "shop"\n{text}')
    return release_toml.load(folder).target("production")


def test_a_target_may_have_several_balancers(tmp_path: Path) -> None:
    """One of them may be down, too."""
    target = load(tmp_path, f'{TARGET}balancer = {{ hosts = ["lb1", "lb2"], user = "admin" }}\n')
    assert target.balancer
    assert (target.balancer.hosts, target.balancer.user) == (["lb1", "lb2"], "admin")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'{TARGET}balancer = {{ hosts = ["web1"] }}\n', "web1 runs the application itself"),
        (f"{TARGET}balancer = {{ hosts = [] }}\n", "at least 1 item"),
        (f'{TARGET}balancer = {{ hosts = ["lb1", "lb1"] }}\n', "lb1 is listed twice"),
        (f'{TARGET}balancer = {{ hosts = ["lb1;"] }}\n', "the name of a host"),
        (f'{TARGET}balancer = {{ hosts = ["lb1"], port = 80 }}\n', "unknown key"),
        (f'{TARGET}domains = []\nbalancer = {{ hosts = ["lb1"] }}\n', "name domains"),
        (f'{TARGET.replace("production", "upstream")}balancer = {{ hosts = ["lb1"] }}\n', "this name"),
        ('[targets.production]\nbalancer = { hosts = ["lb1"] }\n', "no hosts to balance between"),
    ],
)
def test_what_cannot_be_balanced_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """Before anything is done on a host."""
    with pytest.raises(PackhorseError) as caught:
        load(tmp_path, text)
    assert reason in caught.value.message
