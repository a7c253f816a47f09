"""Real pip and uv through the mirror: they resolve by metadata alone, and install what the upstream has."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dists import Dist, wheel
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN, run_command
from tests.support.upstream import Listed, Upstream

NEWEST = 30


def _library(minor: int) -> Dist:
    """Version 1.N of a library; all but the first ten exclude the helper that the application needs."""
    bound = "clients-helper>=2" if minor >= 10 else "clients-helper<2"
    return wheel("clients-library", f"1.{minor}", requires=[bound], padding=200_000)


APP = wheel("clients-app", "1.0", requires=["clients-library", "clients-helper==1.0"], padding=200_000)
LIBRARIES = [_library(minor) for minor in range(NEWEST)]
HELPERS = [wheel("clients-helper", version, padding=200_000) for version in ("1.0", "2.0")]


@pytest.fixture(scope="module", params=["html", "json", "html without ranges"])
def served(request: pytest.FixtureRequest) -> Iterator[Mirrored]:
    """A resolution that needs backtracking, from upstreams of three kinds."""
    with Upstream() as upstream, mirror_of(upstream) as mirrored:
        upstream.style = "json" if request.param == "json" else "html"
        upstream.metadata = request.param == "json"
        upstream.ranges = request.param != "html without ranges"
        upstream.add("clients-app", APP)
        upstream.add("clients-library", *LIBRARIES, Listed(wheel("clients-library", "9.0"), yanked="broken"))
        upstream.add("clients-helper", *HELPERS)
        yield mirrored


def test_uv_backtracks_over_metadata_without_downloading_a_wheel(served: Mirrored, tmp_path: Path) -> None:
    """Stock devpi would download every version on the way."""
    environment = {**served.mirror.environment, "UV_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "requirements.in").write_text("clients-app\n")
    options = (
        "--quiet",
        "--no-annotate",
        "--no-header",
        "--index-url",
        served.mirror.index_url("company/dev"),
    )
    compiled = run_command(
        BIN / "uv", "pip", "compile", *options, tmp_path / "requirements.in", env=environment, cwd=tmp_path
    )
    assert compiled.stdout.split() == ["clients-app==1.0", "clients-helper==1.0", "clients-library==1.9"]
    whole = [
        seen
        for seen in served.upstream.requests
        if seen.path.endswith(".whl") and "range" not in seen.headers
    ]
    assert served.upstream.ranges is (not whole)


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_both_installers_install_from_a_new_mirror(served: Mirrored, client: str, tmp_path: Path) -> None:
    """Metadata that does not match, or is promised and missing, stops either of them."""
    installers: dict[str, list[str | Path]] = {
        "pip": [sys.executable, "-Im", "pip", "install", "--no-cache-dir"],
        "uv": [BIN / "uv", "pip", "install", "--python", sys.executable],
    }
    target = tmp_path / "installed"
    environment = {**served.mirror.environment, "UV_CACHE_DIR": str(tmp_path / "cache")}
    options: list[str | Path] = ["--index-url", served.mirror.index_url("company/dev"), "--target", target]
    run_command(*installers[client], *options, "clients-app", env=environment, cwd=tmp_path)
    names = {path.name.removesuffix(".dist-info") for path in target.glob("*.dist-info")}
    assert names == {"clients_app-1.0", "clients_helper-1.0", "clients_library-1.9"}
