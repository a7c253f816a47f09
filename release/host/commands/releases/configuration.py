"""Say which variables an application gets on this host; keep those that are set before its first deploy."""

import hmac
import json
from collections.abc import Mapping

from packhorse import files
from release.host.commands.releases import reconcile
from release.host.control.session import Session
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import ReleaseSpec
from release.host.processes import public_address
from release.host.processes.circus_ini import Supervisor
from release.host.request import Configuration


def run(layout: Layout, request: Configuration, _circus: Supervisor, _session: Session) -> dict[str, object]:
    """Say what is set for good, or what the first deploy will take: the commands that read it.

    Values of a release on trial may be taken back, and `release config edit` sends only what was changed.
    """
    number = reconcile.committed(layout) if layout.folder.exists() else None
    content = releases.content(layout, number)
    known = content.environment
    names = sorted(known if request.names is None else known.keys() & set(request.names))
    digests = value_digests(request.key, known)
    rows = [
        {
            "name": name,
            "set": name in content.config,
            "deployed": name in content.env,
            "required": name in content.required,
            "digest": digests[name],
            **({"value": known[name]} if request.reveal else {}),
        }
        for name in names
    ]
    return {"app": layout.app, "release": number, "variables": rows}


def value_digests(key: str, values: Mapping[str, str]) -> dict[str, str]:
    """Variable -> HMAC-SHA256 of its value: equal values are found, and nothing else is."""
    return {
        name: hmac.digest(key.encode(), value.encode("utf-8", "surrogateescape"), "sha256").hex()
        for name, value in values.items()
    }


def keep(layout: Layout, spec: ReleaseSpec, session: Session) -> dict[str, object]:
    """Keep values for the first deploy, when all hosts can; who deploys reads them, and nobody else."""
    values = spec.content.config
    unchanged = releases.read_values(layout.config) == values
    session.gate("verdict")
    if not unchanged:
        session.step("commit", "Keeping it for the first deploy")
        journal.note(layout.journal, f"config for the first deploy: {spec.reason}", spec.by, None)
        files.write_whole(layout.config, json.dumps(values).encode(), mode=0o600)
    return {"unchanged": unchanged, "reverted": False, **public_address.as_result(layout, None)}
