#!/usr/bin/python3 -I
"""Test a new file for /etc/nginx with `nginx -t` in a copy; the real folder stays as it is."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LIVE = Path("/etc/nginx")
# Paths in nginx's configuration are absolute: for this process, the copy is mounted over the real folder.
TEST_IN_COPY = 'mount --bind "$0" /etc/nginx && exec nginx -t -q'


def main(candidate: str, place: str) -> int:
    """Test `candidate` as the file `place`; the status is that of `nginx -t`."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "nginx")
        shutil.copytree(LIVE, copy, symlinks=True)
        shutil.copyfile(candidate, copy / Path(place).relative_to(LIVE))
        command = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", TEST_IN_COPY, str(copy)]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
