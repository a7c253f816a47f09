#!/usr/bin/python3 -I
"""Test a new file for /etc/nginx with `nginx -t` in a copy; the real folder stays as it is.

A domain that another file serves already is an error: nginx only warns, and serves the first file. So is a
vhost for the names of the host where something else answers at its address, such as the mirror.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

LIVE = Path("/etc/nginx")
NAMES_OF_HOST = "# For the names of this host."
"""A line of vhosts of applications without domains."""
# Debian's own site, which shows that nginx runs, as long as there is nothing else to show.
WELCOME = """server { listen 80 default_server; listen [::]:80 default_server; root /var/www/html;
index index.html index.htm index.nginx-debian.html; server_name _;
location / { try_files $uri $uri/ =404; } }"""
WELCOME_PAGES = Path("/var/www/html"), "index.nginx-debian.html"
# Paths in nginx's configuration are absolute: for this process, the copy is mounted over the real folder.
TEST_IN_COPY = 'mount --bind "$0" /etc/nginx && exec nginx -T -q'


def main(candidate: str, place: str) -> int:
    """Test `candidate` as the file `place`; the status is that of `nginx -t`, or 1 for a taken domain."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "nginx")
        shutil.copytree(LIVE, copy, symlinks=True)
        shutil.copyfile(candidate, copy / Path(place).relative_to(LIVE))
        command = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", TEST_IN_COPY, str(copy)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    sys.stderr.write(done.stderr)
    lines = list(taken(done.stderr, done.stdout, place))
    if NAMES_OF_HOST in Path(candidate).read_text().splitlines():
        folder, page = WELCOME_PAGES
        welcomes = not folder.exists() or {path.name for path in folder.iterdir()} <= {page}
        lines += occupied(done.stdout, place, welcomes=welcomes)
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return done.returncode or bool(lines)


def taken(warnings: str, dump: str, place: str) -> Iterator[str]:
    """Two lines for every name of `place` that nginx ignores, as another file of its `dump` has it."""
    names = {file: set(server_names(text)) for file, text in files(dump).items()}
    for name in re.findall(r'conflicting server name "(.+?)" on ', warnings):
        others = [file for file, served in names.items() if name in served and file != place]
        if name in names.get(place, set()):
            yield f"Error: {name} is taken: {' and '.join(others) or place} serves it already."
            yield "Hint: Choose another name: domains in release.toml, server_name in mirror.toml."


def occupied(dump: str, place: str, *, welcomes: bool) -> Iterator[str]:
    """Two lines for every file of the `dump` that answers at the host's address, and is no application's.

    `welcomes`: there is nothing but Debian's welcome behind its own site.
    """
    for file, text in files(dump).items():
        words = re.sub(r"#.*", "", text).split()
        free = (
            file == place
            or file.startswith("/etc/nginx/packhorse/")
            or (welcomes and words == WELCOME.split())
        )
        if not free and "listen" in words:
            yield f"Error: The name of this host is taken: {file} answers there already."
            yield "Hint: Name the domains of the target in release.toml."


def files(dump: str) -> "dict[str, str]":
    """The files in the dump of `nginx -T`."""
    _, *parts = re.split(r"^# configuration file (.+):$", dump, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def server_names(text: str) -> Iterator[str]:
    """All names of the servers in a file of nginx's configuration, in lower case, as nginx compares them."""
    for found in re.findall(r"\bserver_name\s+([^;]*);", re.sub(r"#.*", "", text)):
        yield from (name.strip("\"'").lower() for name in found.split())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
