"""The policies that an administrator declared, for all indexes and for single ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mirror.plugin.declared_settings import DeclaredSettings
from mirror.plugin.policy import evaluation, rules
from mirror.plugin.policy.evaluation import Fact, Policy, UnreadableRule

ALL = ""  # in the place of an index: the policy of all indexes


@dataclass(frozen=True)
class DeclaredPolicies:
    """All policies of a server."""

    policies: Mapping[str, Policy]

    def __bool__(self) -> bool:
        return bool(self.policies)

    def of(self, indexes: Iterable[str]) -> list[Policy]:
        """The policies that files on these indexes must pass."""
        return [self.policies[index] for index in (ALL, *indexes) if index in self.policies]

    def decide_by(self, fact: Fact) -> bool:
        """Whether a rule of any policy decides by `fact`."""
        rules = (rule for policy in self.policies.values() for rule in policy.rules)
        return any(fact in rule.decides_by for rule in rules)

    def unreadable(self) -> list[tuple[str, UnreadableRule]]:
        """The rules that cannot be read, with the indexes of their policies."""
        return [
            (policy.index, rule)
            for policy in self.policies.values()
            for rule in policy.rules
            if isinstance(rule, UnreadableRule)
        ]


def parse(settings: Mapping[str, Mapping[str, Any]]) -> DeclaredPolicies:
    """The policies of index -> keys of mirror.toml -> values; rules that cannot be read deny everything."""
    found = {index: evaluation.build(index, each, rules.BUILDERS) for index, each in settings.items()}
    return DeclaredPolicies({index: policy for index, policy in found.items() if policy.rules})


POLICIES = DeclaredSettings("policies", parse)


def problem(keyfs: Any) -> str | None:
    """The reason for which policies deny everything, None when all can be read. Opens a transaction."""
    with keyfs.read_transaction(allow_reuse=True):
        wrong = POLICIES.read(keyfs).unreadable()
    return f"a policy of {wrong[0][0] or 'all indexes'} cannot be read" if wrong else None
