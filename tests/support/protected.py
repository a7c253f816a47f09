"""A mirror with an index that not everybody may read, and a file on it."""

from dataclasses import dataclass, replace

from tests.support.dists import Dist, wheel
from tests.support.mirror_and_upstream import Mirrored
from tests.support.servers import BIN, Mirror

SETTINGS = """
request_timeout = 2
[users.company]
[users.anna]
[users.bert]
[indexes."company/prod"]
bases = ["root/pypi"]
volatile = false
read = ["anna"]
[indexes."company/dev"]
bases = ["company/prod"]
[indexes."company/other"]
bases = ["root/pypi"]
read = ["bert"]
[indexes."company/open"]
bases = ["root/pypi"]
"""
READERS = {"company/other": ["bert", "company"], "company/prod": ["anna", "company"]}
# Below an index that has the project "secretlib": all that names it or its files, and addresses of nothing.
ADDRESSES = (
    *("", "/", "/+simple", "/+simple/", "/+simple/secretlib/", "/+simple/secretlib", "/+simple/SecretLib/"),
    *(
        "/+simple//secretlib",
        "/+simple/nonesuch/",
        "/secretlib",
        "/secretlib/1.0",
        "/secretlib/json",
        "/nonesuch",
    ),
    *(
        "/secretlib/1.0/json",
        "/nonesuch/json",
        "/+why/secretlib",
        "/{file}",
        "/{file}.metadata",
        "/{file}.provenance",
    ),
    *("/{none}", "/+e/secretlib-1.0.zip"),
)


@dataclass(frozen=True)
class Protected:
    """`anna` may read, `bert` may not; `dist` of "secretlib" is at `path` below company/prod."""

    mirrored: Mirrored
    dist: Dist
    path: str

    @property
    def mirror(self) -> Mirror:
        return self.mirrored.mirror

    @property
    def url(self) -> str:
        return self.mirror.url

    @property
    def anna(self) -> tuple[str, str]:
        return "anna", self.mirror.credentials["anna"]

    @property
    def bert(self) -> tuple[str, str]:
        return "bert", self.mirror.credentials["bert"]

    def at(self, url: str) -> "Protected":
        """The same at another address, as that of nginx."""
        return replace(self, mirrored=replace(self.mirrored, mirror=replace(self.mirror, url=url)))


def prepare(mirrored: Mirrored) -> Protected:
    """Fill the indexes of a mirror with `SETTINGS`."""
    dist = wheel("secretlib", "1.0", requires=["upstreamlib"])
    mirrored.upstream.add("upstreamlib", wheel("upstreamlib", "1.0"))
    (mirrored.mirror.home / dist.filename).write_bytes(dist.content)
    mirrored.upload(mirrored.mirror.home / dist.filename, "company/prod")
    path = f"+f/{dist.sha256[:3]}/{dist.sha256[3:16]}/{dist.filename}"
    return Protected(mirrored, dist, path)


def mirror(protected: Protected, *arguments: str) -> str:
    """What `mirror` prints."""
    return str(protected.mirror.run(BIN / "mirror", *arguments).stdout)
