"""GET and PUT /+policies, /+publishers, /+readers: what `mirror init` declares of mirror.toml; for root."""

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from devpi_server import views
from devpi_server.views import apiresult

from mirror.plugin import reservations
from mirror.plugin.access import root_tokens
from mirror.plugin.access.readers import READERS
from mirror.plugin.admin import logins
from mirror.plugin.declared_settings import DeclaredSettings
from mirror.plugin.guards import declared_policies, why_views
from mirror.plugin.guards.declared_policies import POLICIES
from mirror.plugin.publishing import issuer_keys, trusted_publishers
from mirror.plugin.publishing.trusted_publishers import PUBLISHERS

T = TypeVar("T")


def install(pyramid_config: Any) -> None:
    """Add the addresses."""
    for each in (_PolicyViews(POLICIES), _PublisherViews(PUBLISHERS), _ReaderViews(READERS)):
        each.install(pyramid_config)


class _DeclaredViews(ABC, Generic[T]):
    """The address of one kind of settings."""

    def __init__(self, declared: DeclaredSettings[T]) -> None:
        self.declared = declared

    def install(self, pyramid_config: Any) -> None:
        route = f"packhorse {self.declared.name}"
        pyramid_config.add_route(route, f"/{self.declared.path}")
        for method, view in (("GET", self._show), ("PUT", self._declare)):
            pyramid_config.add_view(logins.root_only(view), route_name=route, request_method=method)

    def shown(self, keyfs: Any) -> dict[str, Any]:
        """The settings as mirror.toml has them."""
        return dict(self.declared.settings(keyfs))

    @abstractmethod
    def check(self, settings: Any) -> None:
        """Raise ValueError for what must not be in force."""

    def declare(self, xom: Any, settings: Any) -> None:
        """Put `settings`, which are checked, in force."""
        self.declared.declare(xom.keyfs, settings)

    def _show(self, request: Any) -> Any:
        return apiresult(200, result=self.shown(request.registry["xom"].keyfs), type=self.declared.name)

    def _declare(self, request: Any) -> Any:
        settings = views.getjson(request)  # as patches/views/json_bodies.py has it, by now
        try:
            self.check(settings)
        except ValueError as error:
            return apiresult(400, str(error))
        self.declare(request.registry["xom"], settings)
        return apiresult(200, f"declared the {self.declared.name}")


class _PolicyViews(_DeclaredViews[declared_policies.DeclaredPolicies]):
    """The policies; pages and files follow them at once."""

    def shown(self, keyfs: Any) -> dict[str, Any]:
        """The policies as mirror.toml has them, in words, and the reserved names."""
        policies = list(self.declared.read(keyfs).policies.values())
        return {
            "settings": super().shown(keyfs),
            "rules": list(why_views.described(policies)),
            "reserved": sorted(reservations.records(keyfs)),
        }

    def check(self, settings: Any) -> None:
        if not isinstance(settings, dict) or not all(isinstance(each, dict) for each in settings.values()):
            raise ValueError("policies are tables by the names of indexes")
        unreadable = declared_policies.parse(settings).unreadable()
        if unreadable:
            raise ValueError("; ".join(f"{rule.name} {rule.describe()}" for _, rule in unreadable))


class _PublisherViews(_DeclaredViews[trusted_publishers.TrustedPublishers]):
    """The publishers; tokens of those that are not any more, or are changed, end at once."""

    def check(self, settings: Any) -> None:
        for publisher in trusted_publishers.parse(settings).publishers:
            if publisher.keys is not None:
                issuer_keys.parse_text(publisher.keys)

    def declare(self, xom: Any, settings: Any) -> None:
        before = self._owners(xom)
        super().declare(xom, settings)
        for owner in before - self._owners(xom):
            root_tokens.forget(xom.model.get_user(owner), root_tokens.PUBLISHING)

    def _owners(self, xom: Any) -> set[str]:
        return {publisher.owner for publisher in self.declared.read(xom.keyfs).publishers}


class _ReaderViews(_DeclaredViews[Any]):
    """The users that may read, by the names of protected indexes, and nobody else.

    What nginx served of these indexes is gone before the change is answered.
    """

    def check(self, settings: Any) -> None:
        if not isinstance(settings, dict) or not all(map(_is_names, settings.values())):
            raise ValueError("readers are lists of names by the names of indexes")


def _is_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)
