"""What role balancer refuses: names and users of other projects on the same host."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROLES = Path(__file__).parents[3] / "ansible/roles"


def balanced(
    name: str = "shop.production",
    user: str = "shop",
    host: str = "shop.example.com",
    address: str = "10.0.0.1",
) -> dict[str, Any]:
    """Variables of the role for a target."""
    app = name.partition(".")[0]
    hosts = [{"name": "web1", "address": address}]
    return {"name": name, "app": app, "user": user, "hosts": hosts, "health": {"host": host, "app": app}}


THERE = [
    balanced(),
    balanced("blog.production", user="blog", host="blog.example.com"),
    balanced("wiki.production", user="wiki", host="wiki.example.com"),
]
FITTING = [
    balanced(address="10.0.0.9"),  # its servers were replaced
    balanced("blog.production", user="blog", host="new.example.com"),  # its domain was
    balanced("shop.staging", host="staging.example.com", address="10.0.0.9"),
    balanced("shop-2.production", user="shop2", host="two.example.com"),
]
WRONG = [
    balanced("wiki.production", user="wiki", host="other.example.com", address="10.0.0.9"),
    balanced("boats.production", user="shop", host="boats.example.com"),
]


def test_two_projects_do_not_take_each_others_place(tmp_path: Path) -> None:
    """Requests of one would go to servers of the other, and its deployers would lose their keys."""
    for each in THERE:
        (tmp_path / f"{each['name']}.json").write_text(json.dumps({**each, "name": None, "app": None}))
    include = {"name": "balancer", "tasks_from": "others.yml", "apply": {"ignore_errors": True}}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"balancer_settings": str(tmp_path), "packhorse_balanced": FITTING + WRONG},
        "tasks": [{"ansible.builtin.include_role": include}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    environment = {"ANSIBLE_ROLES_PATH": str(ROLES), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    said = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "play.yml"],
        cwd=tmp_path,
        env={**environment, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = [line.partition('"msg": "')[2] for line in said.splitlines() if '"msg": "' in line]
    refused = [word for word in words if "another project" in word or "deploys" in word]
    assert len(refused) == 2, said
    assert refused[0].startswith(
        "wiki.production is balanced here already, for another project: wiki.example.com, which leads to web1"
    )
    assert refused[1].startswith("shop deploys shop.production here already")
