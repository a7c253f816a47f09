#!/usr/bin/python3 -I
"""Obtain and renew the certificate of an application by ACME (RFC 8555), and let nginx serve it.

packhorse-acme@APP.timer runs it every hour, `release provision` with --now. It asks the authority only when
a domain has no certificate, or one with a third of its time left; lego speaks the protocol. Status 0: all is
well; 1: not every domain has a certificate, stderr says why, and what was served before is served on.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SETTINGS = Path("/etc/packhorse/acme")
STATE = Path("/var/lib/packhorse-acme")
VHOSTS = Path("/etc/nginx/packhorse")
NGINX_LOCK = Path("/run/packhorse-port.lock")  # who changes files of nginx tests the files of all
NAME = re.compile(
    "[a-z0-9]([a-z0-9.-]*[a-z0-9])?"
)  # of a domain; of an application, on balancers with its target
LEGO_USER = "packhorse-acme"  # tokens of the authority become paths in lego: it may write nothing else
LEGO_SECONDS = 900.0  # some seconds for each domain
RELOAD_SECONDS = 30.0
LONGEST_REASON = 1500  # characters
# Public authorities allow five failed validations of a name in an hour.
FAILURES, HOUR, DAY = 4, 3600.0, 24 * 3600.0
KEPT = 2  # certificates: the one that is served, and the one before


class Problem(Exception):  # noqa: N818  # it is shown as a sentence
    """The reason why domains have no certificate, or nginx does not serve it."""


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key in `folder`; times in seconds since 1970."""

    folder: Path
    names: "frozenset[str]"
    begins: float
    ends: float

    def has_left(self, share: float) -> bool:
        """Whether more than `share` of its time is left."""
        return self.ends - time.time() > (self.ends - self.begins) * share

    def is_due(self, names: Sequence[str]) -> bool:
        """Whether one for `names` has to be obtained."""
        return not self.has_left(1 / 3) or not self.names.issuperset(names)

    def require_age(self, names: Sequence[str]) -> None:
        """Raise Problem when it is new: authorities issue some for the same names in a week, and no more."""
        if self.has_left(2 / 3) and self.names.issuperset(names):
            days = (time.time() - self.begins) / DAY
            raise Problem(
                f"The certificate is {days:.0f} days old, and authorities count how often they are asked.\n"
                "When its key has leaked: --renew --force"
            )

    def keeps(self, refused: Sequence[str]) -> bool:
        """Whether it is for some of `refused` names, and good for so long that they may come back."""
        return not self.names.isdisjoint(refused) and self.has_left(1 / 10)


@dataclass(frozen=True)
class State:
    """State that a run leaves for the next one and for `release status`.

    `failures`: times of the last runs, all in vain; `reason`: why not every domain is served.
    """

    failures: Sequence[float] = ()
    reason: str = ""

    @property
    def again(self) -> float:
        """The time before which the authority is not asked again: later after each failure."""
        if not self.failures:
            return 0.0
        return self.failures[-1] + min(DAY, HOUR * 2.0 ** len(self.failures) / 2)

    def may_ask(self, *, by_hand: bool) -> bool:
        """Whether the authority is asked now."""
        often = len(self.failures) >= FAILURES and self.failures[-FAILURES] + HOUR > time.time()
        return not often if by_hand else self.again <= time.time()


def main(app: str, *, by_hand: bool = False, renew: bool = False, force: bool = False) -> None:
    """Do what is to do for `app`. Raises Problem, OSError or ValueError when not every domain is served."""
    if not NAME.fullmatch(app):
        raise ValueError("there is no application of this name")
    settings = json.loads((SETTINGS / f"{app}.json").read_text())
    wanted = sorted(settings["domains"], key=len)  # the first is the common name, of at most 64 characters
    if not wanted or not all(NAME.fullmatch(name) for name in wanted):
        raise ValueError("its domains are none")
    folder = STATE / app
    with locked(folder / "certificates/.lock"):
        state = read_state(folder / "status.json")
        adopt(folder)
        best = newest(folder)
        if renew and best and not force:
            best.require_age(wanted)
        if not (renew or best is None or best.is_due(wanted)):
            state = State()
        elif state.may_ask(by_hand=by_hand or renew):
            said = obtain(app, settings, wanted, best)
            state = State([*state.failures, time.time()][-10:], said) if said else State()
        try:
            show(app, newest(folder), wanted)
        except Problem as error:
            state = State(state.failures, str(error))
        status = {"failures": state.failures, "reason": state.reason, "again": state.again}
        write(folder / "status.json", f"{json.dumps(status)}\n")
    if state.reason:
        later = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(state.again))
        raise Problem(f"{state.reason}\nThe next try is after {later}.")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other run works there; nobody else may open `path`, and so lock it."""
    path.touch(0o600)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_state(path: Path) -> State:
    """The state that the last run wrote; a new one when there is none."""
    try:
        written = json.loads(path.read_text())
        return State(written["failures"], written["reason"])
    except (FileNotFoundError, TypeError, ValueError, KeyError):
        return State()


def obtain(app: str, settings: "dict[str, str]", wanted: "list[str]", present: "Certificate | None") -> str:
    """Get a certificate for all `wanted` names, else for those that the authority does not refuse.

    Returns why not for all. `present`: the certificate there is.
    """
    said = order(app, settings, wanted)
    refused = [name for name in wanted if f"[{name}] acme: error" in said]
    rest = [name for name in wanted if name not in refused]
    if refused and rest and (present is None or (present.is_due(rest) and not present.keeps(refused))):
        said = "\n".join(filter(None, [said, order(app, settings, rest)]))
    return said


def order(app: str, settings: "dict[str, str]", names: "list[str]") -> str:
    """Let lego get a certificate for `names`; the reason why it has not, "" when it has."""
    folder = STATE / app
    challenges, lego = folder / "challenges", folder / "lego"
    empty(challenges)
    owner = pwd.getpwnam(LEGO_USER)
    for path in (challenges, lego, *lego.rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    command = ["lego", "--server", settings["directory"], "--accept-tos", "--email", settings["contact"]]
    command += ["--path", str(lego), "--http", "--http.webroot", str(challenges)]
    command += [f"--domains={name}" for name in names] + ["run"]
    trusted = {"LEGO_CA_CERTIFICATES": settings["ca_file"]} if settings.get("ca_file") else {}
    try:
        done = subprocess.run(
            command,
            user=LEGO_USER,
            group=LEGO_USER,
            extra_groups=[],
            cwd="/",
            env={**os.environ, **trusted},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
            timeout=LEGO_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"The authority has not issued a certificate within {LEGO_SECONDS:.0f} s."
    finally:
        empty(challenges)
        for path in lego.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
    adopt(folder)
    if "urn:ietf:params:acme:error:accountDoesNotExist" in done.stderr:
        empty(lego / "accounts")  # the authority has forgotten it: the next try makes another
    return reason(done.stderr) if done.returncode else ""


def reason(log: str) -> str:
    """Errors that lego printed, without its record of what went well."""
    lines = [re.sub(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", line).strip() for line in log.splitlines()]
    said = "\n".join(line for line in lines if line and not line.startswith("[INFO]"))
    printable = "".join(char if char.isprintable() or char == "\n" else "?" for char in said)
    return printable[-LONGEST_REASON:] or "lego failed without a word"


def empty(folder: Path) -> None:
    """Remove whatever is in `folder`."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def adopt(folder: Path) -> None:
    """Take over what lego obtained as the newest certificate; a run that was killed may have left it."""
    left = folder / "lego" / "certificates"
    numbers = [int(path.name) for path in (folder / "certificates").glob("[0-9]*")]
    for cert in left.glob("*.crt"):
        with tempfile.TemporaryDirectory(dir=folder / "certificates", prefix=".") as scratch:
            new = Path(scratch, "new")
            new.mkdir(mode=0o700)
            for source, name in ((cert, "fullchain.pem"), (cert.with_suffix(".key"), "key.pem")):
                if source.exists():
                    write(new / name, source.read_text(), mode=0o600)
            if read(new):
                new.rename(folder / "certificates" / str(max(numbers, default=0) + 1))
    if left.exists():
        shutil.rmtree(left)


def newest(folder: Path) -> "Certificate | None":
    """The last certificate that was obtained; it counts while it is valid."""
    paths = sorted((folder / "certificates").glob("[0-9]*"), key=lambda path: int(path.name), reverse=True)
    for path in paths[KEPT:]:
        shutil.rmtree(path)
    return next(filter(None, map(read, paths[:KEPT])), None)


def read(folder: Path) -> "Certificate | None":
    """The certificate in `folder`; None when it is not whole, not for its key, or not valid now."""
    cert, key = folder / "fullchain.pem", folder / "key.pem"
    asked = [
        "openssl",
        "x509",
        "-in",
        str(cert),
        "-noout",
        "-startdate",
        "-enddate",
        "-ext",
        "subjectAltName",
    ]
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
        said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        begins, ends = (
            ssl.cert_time_to_seconds(text) for text in re.findall("^not.*?=(.*)", said, re.MULTILINE)
        )
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    names = frozenset(re.findall(r"DNS:([^\s,]+)", said))
    return Certificate(folder, names, begins, ends) if ends > time.time() else None


def snippet(certificate: Certificate, names: Sequence[str]) -> str:
    """Lines that nginx includes in the vhost: TLS, and a redirect of `names` to it."""
    pattern = "|".join(name.replace(".", "[.]") for name in names)
    return f"""\
# Written by packhorse-acme.
include /etc/nginx/packhorse/tls.settings;
ssl_certificate {certificate.folder}/fullchain.pem;
ssl_certificate_key {certificate.folder}/key.pem;
set $packhorse_asked "$packhorse_balanced$scheme $host";
if ($uri ~ "^/[.]well-known/acme-challenge/") {{
    set $packhorse_asked "";
}}
if ($packhorse_asked ~ "^0http ({pattern})$") {{
    return 301 https://$host$request_uri;
}}
"""


def show(app: str, certificate: "Certificate | None", wanted: Sequence[str]) -> None:
    """Let nginx serve `certificate` for what it has of the names `wanted`; with none of them, plain HTTP.

    Raises Problem; then nginx serves what it did before.
    """
    if certificate is None:
        return
    path, names = VHOSTS / f"{app}.tls", [name for name in wanted if name in certificate.names]
    with locked(NGINX_LOCK):
        if names:
            serve(path, certificate, names)
        elif path.exists():
            path.unlink()
            reload()


def serve(path: Path, certificate: Certificate, names: Sequence[str]) -> None:
    """Let nginx include `path`, which is tested first, and wait until it serves `certificate`."""
    text = snippet(certificate, names)
    wanted = first_der((certificate.folder / "fullchain.pem").read_text())
    if path.exists() and path.read_text() == text and served(names[0]) == wanted:
        return
    with tempfile.TemporaryDirectory() as scratch:
        candidate = Path(scratch, path.name)
        candidate.write_text(text)
        run(["/usr/local/sbin/packhorse-nginx-check", str(candidate), str(path)])
    write(path, text)
    reload()
    end = time.monotonic() + RELOAD_SECONDS
    while served(names[0]) != wanted:
        if time.monotonic() > end:
            raise Problem(f"nginx does not serve the certificate for {names[0]}: see its error log")
        time.sleep(0.05)
    sys.stdout.write(f"changed: nginx serves {', '.join(names)} with {certificate.folder}\n")


def reload() -> None:
    """Let nginx load its configuration."""
    run(["systemctl", "reload", "nginx"])


def first_der(chain: str) -> bytes:
    """The first certificate of a chain, in binary form."""
    end = "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(f"{chain.partition(end)[0]}{end}\n")


def served(name: str) -> "bytes | None":
    """The certificate (DER) that nginx on this host serves for `name`; None: it does not."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", 443), 5) as connection,
            context.wrap_socket(connection, server_hostname=name) as secured,
        ):
            return secured.getpeercert(binary_form=True)
    except OSError:
        return None


def run(command: Sequence[str]) -> None:
    """Run `command`. Raises Problem with what it says."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise Problem(done.stderr.strip()[-LONGEST_REASON:] or f"{command[0]} failed")


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Let `path` appear whole; it never has more rights than `mode`."""
    scratch = path.with_name(f".{path.name}.new")  # no *.conf, which nginx would read
    scratch.unlink(missing_ok=True)
    scratch.touch(mode)
    with scratch.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Obtain or renew the certificate of an application.")
    parser.add_argument("app", metavar="APP", help='an application with tls = "acme" on this host')
    parser.add_argument("--now", action="store_true", help="try again, also shortly after a failure")
    parser.add_argument(
        "--renew", action="store_true", help="replace the certificate before a third of its time is left"
    )
    parser.add_argument(
        "--force", action="store_true", help="with --renew: also a new one, as its key has leaked"
    )
    return parser.parse_args()


if __name__ == "__main__":
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    os.umask(0o022)
    try:
        asked = arguments()
        main(asked.app, by_hand=asked.now, renew=asked.renew, force=asked.force)
    except (Problem, OSError, ValueError, KeyError) as error:
        sys.exit(f"packhorse-acme: {error}")
