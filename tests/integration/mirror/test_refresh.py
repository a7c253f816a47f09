"""`mirror refresh`: new versions of what is in use are found, and outdated pins of locks are told."""

import json
from pathlib import Path
from typing import Any

from tests.support import faults
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.servers import BIN
from tests.support.upstream import Listed


def test_what_came_since_the_last_look_is_told(mirrored: Mirrored, tmp_path: Path) -> None:
    """Of projects whose files are here, and of those that own packages depend on; each once."""
    used, needed, seen, own = (new_name(prefix) for prefix in ("used", "needed", "seen", "own"))
    mirrored.change_index("root/pypi", mirror_cache_expiry=0)
    try:
        for name in (used, needed, seen):
            mirrored.upstream.add(name, wheel(name, "1.0"))
            mirrored.page(name)
        lock = tmp_path / "requirements.txt"
        lock.write_text(f"{used}==1.0 --hash=sha256:{wheel(used, '1.0').sha256}\n")
        mirrored.mirror.run(BIN / "mirror", "prefetch", lock)
        dist = wheel(own, "1.0", requires=[f"{needed}>=1; python_version > '3'"])
        (tmp_path / dist.filename).write_bytes(dist.content)
        mirrored.upload(tmp_path / dist.filename)

        ours = {used, needed, seen, own}

        def refresh(*options: str | Path) -> Any:  # noqa: ANN401 (JSON)
            # Other tests have left projects on this mirror that their upstream does not answer for.
            done = mirrored.mirror.run(BIN / "mirror", "refresh", "--json", *options, status=None)
            found = json.loads(done.stdout)
            assert done.returncode == (1 if found["failed"] else 0), done.stderr
            new = {each["project"]: each["version"] for each in found["new"] if each["project"] in ours}
            return {**found, "new": new, "failed": ours & set(found["failed"])}

        assert refresh()["new"] == {}
        for name in (used, needed, seen):
            mirrored.upstream.add(name, Listed(wheel(name, "1.1"), upload_time="2024-05-06T07:08:09Z"))
            mirrored.upstream.add(name, Listed(wheel(name, "1.2"), yanked="bad"))
        found = refresh("--report", lock)
        assert found["new"] == {used: "1.1", needed: "1.1"}
        outdated = {"project": used, "pinned": "1.0", "newest": "1.1", "since": "2024-05-06T07:08:09Z"}
        assert (found["outdated"], found["pins"]) == ([outdated], 1)
        assert refresh()["new"] == {}
        mirrored.upstream.add(used, wheel(used, "1.3"))
        mirrored.upstream.fail(f"/simple/{used}/", faults.status(503))
        del mirrored.upstream.projects[needed]
        failed = refresh()
        assert needed in failed["gone"]
        assert (failed["failed"], failed["new"]) == ({used}, {})
    finally:
        mirrored.upstream.heal()
        mirrored.change_index("root/pypi", mirror_cache_expiry=1800)
