"""Settings of [assets]: a bucket that gets the files of [static] before each deploy, for browsers or CDNs."""

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator

from packhorse import settings
from packhorse.settings import Url, matching
from release.config.value_types import AppName, unique

VARIABLE = "STATIC_URL"
"""The variable that tells the application where its files are, unless release.toml sets it otherwise."""


class Assets(settings.Settings):
    """A `bucket` at `endpoint` (None: AWS) with an API like S3's, and the URL at which browsers see `prefix`.

    Credentials are where AWS's own tools look for them, never here. `prefix`, None: the application's name.
    `targets`: whose deploys push, None: of all with hosts.
    """

    bucket: Annotated[
        str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}", 'a bucket, such as "shop-static"', 63)
    ]
    url: Annotated[Url, AfterValidator(lambda url: f"{url.rstrip('/')}/")]
    endpoint: Url | None = None
    region: Annotated[str, matching(r"[a-z0-9-]+", 'a region, such as "eu-central-1"', 40)] | None = None
    prefix: (
        Annotated[str, matching(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*/?", 'a folder, such as "shop/v2"')]
        | None
    ) = None
    targets: Annotated[list[AppName], AfterValidator(unique)] | None = None

    def folder(self, app: str) -> str:
        """Beginning of the names of all objects, with a "/" at its end."""
        return f"{(self.prefix or app).rstrip('/')}/"

    def covers(self, target: str, declared: Collection[str]) -> bool:
        """Whether deploys to `target` push; `declared`: the targets with hosts."""
        return target in (declared if self.targets is None else self.targets)


def check(assets: Assets | None, *, has_static: bool, declared: Collection[str], allow_http: bool) -> None:
    """Look for what does not fit the rest of the file. Raises ValueError."""
    if assets is None:
        return
    if not has_static:
        raise ValueError('assets: which files? Name their folder in the wheel: [static] folder = "…"')
    for name in assets.targets or []:
        if name not in (*declared, "local"):
            raise ValueError(
                f"assets.targets: there is no target {name}; there are {', '.join(declared) or 'none'}"
            )
    if assets.endpoint and settings.is_cleartext(assets.endpoint) and not allow_http:
        raise ValueError(
            "assets.endpoint: by http:// others can change the files: https://, or allow_http = true"
        )
