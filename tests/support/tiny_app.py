"""Wheels and sdists of a tiny web application, correct or broken in a chosen way."""

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping

from release.host.formats import artifact
from tests.support.dists import Dist, archive, record_of, wheel

# A server that takes its listeners as sd_listen_fds(3) says, or a port, and finishes its requests after
# SIGTERM.
SERVER = """\
import json, os, signal, socket, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
VERSION, FAULT = {version!r}, {fault!r}
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = 200, VERSION
        probed = self.path == "/healthz"
        self.server.probes += probed
        tired = FAULT == "tired" and probed and self.server.probes > 1
        if FAULT in ("500", os.uname().nodename) or tired:
            status, body = 500, "the database is on fire"
        if FAULT == "plain" and probed:
            status, body = 404, "no such page"
        if self.path == "/slow":
            time.sleep(1.5)
        if self.path.startswith("/status/"):
            status = int(self.path[8:11])
        if self.path == "/env":
            body = json.dumps(dict(os.environ))
        if self.path == "/headers":
            body = json.dumps([[name, value] for name, value in self.headers.items()])
        if self.path in ("/stream", "/echo"):
            return self.talk(self.path == "/stream")
        if self.path == "/rows":
            asked = ["psql", os.environ["DATABASE_URL"], "-XAtc", "SELECT count(*) FROM rows"]
            done = subprocess.run(asked, capture_output=True, text=True)
            status, body = (500, done.stderr) if done.returncode else (200, done.stdout.strip())
        if self.path == "/databases":
            body = json.dumps(dict(databases(os.environ)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())
    def do_POST(self):
        length, read = int(self.headers["Content-Length"]), 0
        while read < length:
            read += len(self.rfile.read(min(65536, length - read)))
        self.do_GET()
    def talk(self, streams):
        self.protocol_version = "HTTP/1.1"
        self.send_response(200 if streams else 101)
        self.send_header(*(("X-Accel-Buffering", "no") if streams else ("Upgrade", "websocket")))
        self.send_header("Connection", "close" if streams else "Upgrade")
        self.end_headers()
        self.close_connection = True
        if streams:
            self.wfile.write(b"first")
            time.sleep(3)
            self.wfile.write(b"last")
        else:
            while data := self.connection.recv(100):
                self.connection.sendall(data)
    def log_message(self, *args):
        pass
def databases(variables):
    for name, url in variables.items():
        parts = urlsplit(url)
        clients = dict(
            postgresql=["psql", url, "-XAtc", "SELECT 'in'"],
            mysql=["mariadb", "-BN", "--ssl", "-h", parts.hostname, "-P", str(parts.port or ""),
                   "-u", parts.username, "-e", "SELECT 'in'", parts.path[1:]],
            redis=["redis-cli", "-u", url, "PING", "in"],
        )
        if parts.scheme in clients:
            secret = dict(os.environ, MYSQL_PWD=parts.password or "")
            done = subprocess.run(clients[parts.scheme], env=secret, capture_output=True, text=True)
            yield name, done.stdout.strip() or done.stderr
class Server(ThreadingHTTPServer):
    daemon_threads = False
    def __init__(self, listener):
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.probes = listener, 0
    def get_request(self):
        connection, _ = self.socket.accept()
        return connection, ("client", 0)
def listeners():
    if "PORT" in os.environ:
        return [socket.create_server(("127.0.0.1", int(os.environ["PORT"])))]
    assert os.environ["LISTEN_PID"] == str(os.getpid())
    return [socket.socket(fileno=3 + n) for n in range(int(os.environ["LISTEN_FDS"]))]
def main():
    print(f"hello from {{VERSION}}, pid {{os.getpid()}}, files {{sorted(os.listdir('/dev/fd'))}}")
    print("and this on stderr", file=sys.stderr)
    if FAULT == "deaf":
        signal.pause()
    if FAULT == "done":
        sys.exit(0)
    if FAULT == "loud":
        for _ in range(100_000):
            print("x" * 1000)
    if FAULT == "family":
        subprocess.Popen(["sleep", "1003"], env={{}})
        subprocess.Popen(["sleep", "1003"], start_new_session=True)
    time.sleep(4 if FAULT == "slow" else 0)
    servers = [Server(listener) for listener in listeners()]
    threads = [threading.Thread(target=s.serve_forever, args=(0.01,)) for s in servers]
    stops = signal.SIGUSR1 if FAULT == "stubborn" else signal.SIGTERM
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(stops, lambda *_: [threading.Thread(target=s.shutdown).start() for s in servers])
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.1)
    for server in servers:
        server.server_close()
if __name__ == "__main__":
    main()
"""
LOCK = b'lock-version = "1.0"\ncreated-by = "tests"\npackages = []\n'
NAME = "tiny"


def stamps(
    version: str,
    procfile: str,
    lock: bytes = LOCK,
    wheels: Mapping[str, bytes] | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """The files that `release build` puts into an artifact: three, the `wheels`, those `beside` it."""
    wheels, beside = wheels or {}, beside or {}
    manifest = artifact.BuildManifest(
        name=NAME,
        version=version,
        commit=None,
        dirty=None,
        builder={},
        lock_sha256=hashlib.sha256(lock).hexdigest(),
        requires_python=None,
        wheels={name: hashlib.sha256(content).hexdigest() for name, content in wheels.items()},
        files={name: hashlib.sha256(content).hexdigest() for name, content in beside.items()},
    )
    inside = {f"{artifact.WHEELS}/{name}": content for name, content in wheels.items()}
    inside |= {f"{artifact.FILES}/{name}": content for name, content in beside.items()}
    return {"Procfile": procfile.encode(), "pylock.toml": lock, "packhorse.json": manifest.encode(), **inside}


def code(version: str, fault: str) -> str:
    """The application, with a `fault` or "".

    "import": it ends at once; "done": the same with status 0; "500": that is its answer to everything; the
    name of a host: the same, but only there; "tired": the same, to every probe but the first; "deaf": it
    never listens; "slow": it takes 4 s to begin; "loud": it begins with 100 MB of log; "stubborn": it ignores
    SIGTERM; "plain": it has no page for probes;
    "family": it leaves two processes behind, in its group without an environment, and in another.
    """
    text = SERVER.format(version=version, fault=fault)
    return f'raise ImportError("no module named luck")\n{text}' if fault == "import" else text


def app_wheel(
    version: str,
    fault: str = "",
    procfile: str = "web: python -m tiny\n",
    lock: bytes = LOCK,
    *,
    padding: int = 0,
    wheels: Mapping[str, bytes] | None = None,
    beside: Mapping[str, bytes] | None = None,
    static: Mapping[str, bytes] | None = None,
) -> Dist:
    """The application as a wheel, with `wheels` of dependencies, and files `beside` it, inside.

    Its `static` files are in tiny/static.
    """
    made = wheel(NAME, version, padding=padding)
    info = f"{NAME}-{version}.dist-info"
    members = {
        f"{info}/{name}": data for name, data in stamps(version, procfile, lock, wheels, beside).items()
    }
    members["tiny/__main__.py"] = code(version, fault).encode()
    members |= {f"tiny/static/{name}": data for name, data in (static or {}).items()}
    with io.BytesIO(made.content) as original:
        return Dist(made.filename, _joined(original, members), made.metadata)


def _joined(original: io.BytesIO, members: Mapping[str, bytes]) -> bytes:
    with zipfile.ZipFile(original) as file:
        present = {name: file.read(name) for name in file.namelist()}
    record = next(name for name in present if name.endswith("/RECORD"))
    del present[record]
    joined = {**present, **members}
    return archive({**joined, record: record_of(joined, record)})


def app_sdist(version: str, *, wheel_inside: bool = True, trap: str = "") -> Dist:
    """The application as an sdist whose build backend is in the sdist itself: no build requirement.

    Without `wheel_inside` it is as an older Packhorse made it. Who runs the backend touches the path `trap`.
    """
    made = app_wheel(version)
    inside = {made.filename: made.content} if wheel_inside else {}
    backend = (
        "import base64, pathlib\n"
        f"WHEEL = base64.b64decode({base64.b64encode(made.content).decode()!r})\n"
        "def build_wheel(folder, *_, **__):\n"
        f"    {bool(trap)} and pathlib.Path({trap!r}).touch()\n"
        f"    pathlib.Path(folder, {made.filename!r}).write_bytes(WHEEL)\n"
        f"    return {made.filename!r}\n"
    )
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    project = f'[project]\nname = "{NAME}"\nversion = "{version}"\n'
    files = {
        "PKG-INFO": made.metadata,
        "pyproject.toml": f"{system}{project}".encode(),
        "backend.py": backend.encode(),
        **stamps(version, "web: python -m tiny\n", wheels=inside),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{NAME}-{version}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return Dist(f"{NAME}-{version}.tar.gz", buffer.getvalue(), made.metadata)
