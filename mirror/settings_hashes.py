"""Hash each setting of a mirror.toml, to tell later which of them differ without keeping any."""

import hashlib
import json
from collections.abc import Collection, Mapping

from mirror.config import MirrorConfig


def by_key(config: MirrorConfig, keys: Collection[str] = ()) -> dict[str, str]:
    """Hashes (an address of a webhook may be secret) of the settings `keys`, of all without any.

    A table is one setting, but for [upstream]: its settings are `upstream.url` and `upstream.hosts`.
    """
    values = config.model_dump(mode="json")
    values |= {f"upstream.{key}": value for key, value in values.pop("upstream").items()}
    return {
        key: hashlib.sha256(json.dumps(value).encode()).hexdigest()
        for key, value in values.items()
        if not keys or key in keys
    }


def differing(config: MirrorConfig, earlier: Mapping[str, str], keys: Collection[str] = ()) -> list[str]:
    """The keys of `config`, of `keys` alone if there are any, whose hash is another one in `earlier`.

    A key that `earlier` lacks does not differ: an earlier version did not know it.
    """
    return [key for key, digest in by_key(config, keys).items() if earlier.get(key, digest) != digest]
