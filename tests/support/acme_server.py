"""pebble, a server for tests of ACME clients, and the DNS in which it looks names up."""

import http.client
import json
import os
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers import run_command, wait_until

# Its authorities say "no" to a nonce now and then, as real ones do (5 %): clients must live with that.
ENVIRONMENT = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}


@dataclass
class Authority:
    """Listens on `address`; `pem` is the certificate of its directory, which clients have to trust."""

    address: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def directory(self) -> str:
        return f"https://{self.address}:14000/dir"

    @property
    def pem(self) -> Path:
        return self.folder / "authority.pem"

    def lead(self, name: str, address: str) -> None:
        """Let DNS say that `name` is at `address`, and nowhere else."""
        for command, body in (("clear-a", {"host": name}), ("add-a", {"host": name, "addresses": [address]})):
            url = f"http://{self.address}:8055/{command}"
            with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=10) as answer:
                assert answer.status == 200

    def start(self) -> None:
        """Start pebble: with a new root, and without the accounts and certificates of the one before."""
        command = ["pebble", "-config", "pebble.json", "-dnsserver", f"{self.address}:8053"]
        self._run(command)
        wait_until("pebble", lambda: self._answers(14000))

    def stop(self) -> None:
        """Stop pebble, and not the DNS."""
        process = self.processes.pop()
        process.kill()
        process.wait()

    def trusting(self) -> ssl.SSLContext:
        """What clients of its certificates trust: the root of the pebble that runs."""
        trusted = ssl.create_default_context(cafile=self.pem)
        with urllib.request.urlopen(f"https://{self.address}:15000/roots/0", context=trusted) as answer:
            return ssl.create_default_context(cadata=answer.read().decode())

    def make(self) -> None:
        """The folder, and the DNS, which knows no name by itself."""
        self.folder.mkdir()
        key = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        names = ("-subj", "/CN=tests", "-addext", f"subjectAltName=IP:{self.address}")
        run_command(*key, *names, "-keyout", self.folder / "key.pem", "-out", self.pem, env=ENVIRONMENT)
        settings = {
            "listenAddress": f"{self.address}:14000",
            "managementListenAddress": f"{self.address}:15000",
            "certificate": "authority.pem",
            "privateKey": "key.pem",
            "httpPort": 80,
            "tlsPort": 443,
            "certificateValidityPeriod": 90 * 86400,
        }
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        off = ("-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "", "-defaultIPv6", "")
        places = ("-dns01", f"{self.address}:8053", "-management", f"{self.address}:8055")
        self._run(["pebble-challtestsrv", *places, *off])
        wait_until("the DNS", lambda: self._answers(8055))

    def _run(self, command: list[str]) -> None:
        with (self.folder / f"{command[0]}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    command, cwd=self.folder, env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT
                )
            )

    def _answers(self, port: int) -> bool:
        connection = http.client.HTTPConnection(self.address, port, timeout=1)
        try:
            connection.connect()
        except OSError:
            return False
        finally:
            connection.close()
        return True


@contextmanager
def authority(address: str, folder: Path) -> Iterator[Authority]:
    """An authority that runs until the block ends."""
    made = Authority(address, folder)
    try:
        made.make()
        made.start()
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait()
