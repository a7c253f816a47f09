"""All settings of mirror.toml that are declared to the server; keys, exports and pages go by this list."""

from typing import Any

from mirror.plugin.access.readers import READERS
from mirror.plugin.declared_settings import DeclaredSettings
from mirror.plugin.guards.declared_policies import POLICIES
from mirror.plugin.publishing.trusted_publishers import PUBLISHERS

ALL: tuple[DeclaredSettings[Any], ...] = (POLICIES, PUBLISHERS, READERS)
