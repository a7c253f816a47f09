"""Hash each setting of a mirror.toml, to tell later which of them differ without keeping any."""

import hashlib
import json
from collections.abc import Collection, Mapping

from mirror.config import MirrorConfig


def by_key(config: MirrorConfig, keys: Collection[str] | None = None) -> dict[str, str]:
    """Hashes (an address of a webhook may be secret) of the settings `keys` (None: of all).

    A table is one setting, but for [upstream]: its settings are `upstream.url` and `upstream.hosts`.
    """
    values = config.model_dump(mode="json")
    values |= {f"upstream.{key}": value for key, value in values.pop("upstream").items()}
    return {
        key: hashlib.sha256(json.dumps(value).encode()).hexdigest()
        for key, value in values.items()
        if keys is None or key in keys
    }


def differing(
    config: MirrorConfig, earlier: Mapping[str, str], keys: Collection[str] | None = None
) -> list[str]:
    """Keys whose hash is another one in `earlier`, among `keys` (None: all).

    A key that `earlier` lacks does not differ: an earlier version did not know it.
    """
    return [key for key, digest in by_key(config, keys).items() if earlier.get(key, digest) != digest]
