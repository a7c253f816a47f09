"""The policies that an administrator declared: in devpi's database, so replicated, and in every backup."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mirror.plugin.policy import evaluation, rules
from mirror.plugin.policy.evaluation import Policy, Rule, UnreadableRule

ALL = ""  # in the place of an index: the policy of all indexes
POLICIES = "PACKHORSE_POLICIES"  # key of ours in devpi's database
_PATH = "+policies"

Settings = Mapping[str, Mapping[str, Any]]  # index -> keys of mirror.toml and their values


@dataclass(frozen=True)
class Declared:
    """All policies of a server."""

    policies: Mapping[str, Policy]

    def __bool__(self) -> bool:
        return bool(self.policies)

    def of(self, indexes: Iterable[str]) -> list[Policy]:
        """The policies that files on these indexes must pass."""
        return [self.policies[index] for index in (ALL, *indexes) if index in self.policies]


def add_keys(keyfs: Any) -> None:
    """Declare our key."""
    keyfs.add_key(POLICIES, _PATH, dict)


def path() -> str:
    """Path of the key that all pages depend on."""
    return _PATH


def settings(keyfs: Any) -> Settings:
    """The policies as mirror.toml has them."""
    found: Settings = json.loads(_text(keyfs))
    return found


def read(keyfs: Any) -> Declared:
    """The policies in force. Needs a transaction."""
    return parse(_text(keyfs))


def declare(keyfs: Any, declared: Settings) -> None:
    """Put policies in force. Needs a write transaction."""
    # One string: devpi copies and wraps every container that it stores.
    keyfs.get_key(POLICIES).set({"settings": json.dumps(declared, sort_keys=True)})


def problem(keyfs: Any) -> str | None:
    """The reason for which policies deny everything, None when all can be read. Opens a transaction."""
    with keyfs.read_transaction(allow_reuse=True):
        policies = read(keyfs).policies.values()
    wrong = [each.index or "all indexes" for each in policies if any(map(_is_unreadable, each.rules))]
    return f"a policy of {wrong[0]} cannot be read" if wrong else None


def _is_unreadable(rule: Rule) -> bool:
    return isinstance(rule, UnreadableRule)


@lru_cache(maxsize=8)
def parse(text: str) -> Declared:
    """The policies of settings in JSON; rules that cannot be read deny everything."""
    found = {index: evaluation.build(index, each, rules.BUILDERS) for index, each in json.loads(text).items()}
    return Declared({index: policy for index, policy in found.items() if policy.rules})


def _text(keyfs: Any) -> str:
    return str(keyfs.get_key(POLICIES).get().get("settings", "{}"))
