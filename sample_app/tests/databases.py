"""PostgreSQL and MariaDB servers of the tests: on loopback, with TLS, run by a user without rights."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import find, free_port, wait_until

PASSWORD = "p@ss/word:%41"
QUOTED = "p%40ss%2Fword%3A%2541"


class Server:
    """A server in a folder of its own. It can be stopped and started again."""

    def __init__(self, folder: Path, kind: "type[PostgreSQL | MariaDB]") -> None:
        self.folder = folder
        self.port = free_port()
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.process: subprocess.Popen[bytes] | None = None
        self.certificate()
        self.kind = kind(self)
        self.url = self.kind.url

    def certificate(self) -> None:
        """A certificate that nobody has signed, as Debian makes for each host."""
        files = ["-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "cert.pem")]
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=db", *files]
        subprocess.run(make, check=True, capture_output=True)
        for path in (self.folder, *self.folder.iterdir()):
            shutil.chown(path, self.user.pw_uid, self.user.pw_gid)
        (self.folder / "key.pem").chmod(0o600)

    def run(self, *command: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a program of the server to its end, as its user."""
        return subprocess.run(
            [find(command[0]) or command[0], *command[1:]],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **self.rights(),
        )

    def rights(self) -> dict[str, object]:
        """Arguments of `subprocess` that take the rights of root away."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            program, *arguments = self.kind.command()
            self.process = subprocess.Popen(
                [find(program) or program, *arguments],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self.rights(),
            )
        wait_until(f"{program} answers", self.kind.ready, deadline=120)

    def stop(self) -> None:
        """End it, with all connections."""
        if self.process:
            self.process.send_signal(self.kind.end)
            self.process.wait(60)


class PostgreSQL:
    """A cluster of PostgreSQL."""

    end = signal.SIGINT  # "fast": it waits for nobody

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = f"postgresql://board:{QUOTED}@127.0.0.1:{server.port}/board?sslmode=require"
        secret = server.folder / "password"
        secret.write_text("of root")
        access = ["-U", "root", "--auth=scram-sha-256", f"--pwfile={secret}"]
        shutil.chown(secret, server.user.pw_uid)
        done = server.run("initdb", "-D", str(server.folder / "data"), *access)
        assert done.returncode == 0, done.stderr

    def command(self) -> list[str]:
        """Only TLS from others; the disk need not be waited for."""
        folder = self.server.folder
        settings = {
            "port": self.server.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "ssl": "on",
            "ssl_cert_file": folder / "cert.pem",
            "ssl_key_file": folder / "key.pem",
            "fsync": "off",
        }
        return ["postgres", "-D", str(folder / "data"), *(f"--{name}={settings[name]}" for name in settings)]

    def ready(self) -> bool:
        """Make login and database, if they are not there."""
        sql = f"""
            CREATE ROLE board LOGIN PASSWORD '{PASSWORD}';
            CREATE DATABASE board OWNER board;
        """
        url = f"postgresql://root:of%20root@127.0.0.1:{self.server.port}/postgres"
        done = self.server.run("psql", url, text=sql)
        return done.returncode == 0


class MariaDB:
    """A server of MariaDB."""

    end = signal.SIGTERM

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = f"mysql://board:{QUOTED}@127.0.0.1:{server.port}/board?ssl_mode=REQUIRED"
        done = server.run(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={server.folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def command(self) -> list[str]:
        """The disk need not be waited for."""
        folder = self.server.folder
        return [
            "mariadbd",
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--socket={folder / 'socket'}",
            f"--port={self.server.port}",
            "--bind-address=127.0.0.1",
            f"--ssl-cert={folder / 'cert.pem'}",
            f"--ssl-key={folder / 'key.pem'}",
            "--innodb-flush-log-at-trx-commit=0",
        ]

    def ready(self) -> bool:
        """Make login and database, if they are not there."""
        sql = f"""
            CREATE DATABASE IF NOT EXISTS board CHARACTER SET utf8mb4;
            CREATE USER IF NOT EXISTS board@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL;
            GRANT ALL ON board.* TO board@'127.0.0.1';
        """
        socket = f"--socket={self.server.folder / 'socket'}"
        return self.server.run("mariadb", "--no-defaults", "-u", "root", socket, text=sql).returncode == 0


@contextmanager
def database(kind: type[PostgreSQL | MariaDB]) -> Iterator[Server]:
    """A server that runs; not below pytest's folders, which only their owner can enter."""
    with tempfile.TemporaryDirectory(prefix="db-", ignore_cleanup_errors=True) as name:
        server = Server(Path(name), kind)
        server.start()
        try:
            yield server
        finally:
            server.stop()
