#!/usr/bin/python3 -I
"""Test a new file for /etc/nginx with `nginx -t` in a copy; the real folder stays as it is.

A domain that another file serves already is an error: nginx only warns, and serves the first file.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

LIVE = Path("/etc/nginx")
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
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    return done.returncode or bool(lines)


def taken(warnings: str, dump: str, place: str) -> Iterator[str]:
    """Two lines for every name of `place` that nginx ignores, as another file of its `dump` has it."""
    _, *parts = re.split(r"^# configuration file (.+):$", dump, flags=re.MULTILINE)
    names = {file: set(server_names(text)) for file, text in zip(parts[::2], parts[1::2], strict=True)}
    for name in re.findall(r'conflicting server name "(.+?)" on ', warnings):
        others = [file for file, served in names.items() if name in served and file != place]
        if name in names.get(place, set()):
            yield f"Error: {name} is taken: {' and '.join(others) or place} serves it already."
            yield "Hint: Choose another name: domains in release.toml, server_name in mirror.toml."


def server_names(text: str) -> Iterator[str]:
    """All names of the servers in a file of nginx's configuration, in lower case, as nginx compares them."""
    for found in re.findall(r"\bserver_name\s+([^;]*);", re.sub(r"#.*", "", text)):
        yield from (name.strip("\"'").lower() for name in found.split())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
