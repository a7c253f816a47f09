"""Say how a service comes to another version: by apt, or by a backup that another server gets."""

from collections.abc import Iterator

from release.config.release_toml import ReleaseConfig

_PACKAGES = {"postgresql": "'postgresql-*'", "mariadb": "mariadb-server", "redis": "redis-server"}


def notes(config: ReleaseConfig, service: str, version: str) -> Iterator[str]:
    """Lines about `service`, which runs `version`."""
    declared = config.services[service]
    host, kind = declared.hosts[0], declared.kind
    targets = [name for name, target in config.targets.items() if service in target.services]
    yield f"{service} is {kind} {version or '(it does not answer)'} on {host}."
    yield ""
    yield "A minor version has corrections only, and comes from the distribution. The server restarts:"
    yield f"  release services backup {service}"
    yield f"  ssh {host} sudo apt-get update"
    yield f"  ssh {host} sudo apt-get install --only-upgrade {_PACKAGES[kind]}"
    yield ""
    yield "A major version comes with another host; the old one stays until you have looked at the new one:"
    for target in targets or ["TARGET"]:
        yield f"  release maintenance on {target}    # nothing is written from here on"
        yield f"  release services backup {service} {target} --fetch ."
    yield f'  in release.toml: [services.{service}] hosts = ["NEW HOST"], and its version, if you name one'
    yield f"  release provision {service}    # an empty server"
    for target in targets or ["TARGET"]:
        yield f"  release services restore {service} {target} FILE    # the one that --fetch has brought"
        yield f"  release services attach {service} {target}    # the URL of the new host, as a release"
        yield f"  release maintenance off {target}"
