"""Settings and the mirror's folder in, nginx's configuration out: what is on disk is served from there.

Pages come from the folder that the plugin fills (mirror/plugin/pages/store.py), metadata from
mirror/plugin/metadata/store.py, files from devpi's own `+files`; whatever is not there, or not
certain, is devpi's to answer.
"""

import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mirror.config import MirrorConfig
from mirror.state import Folder
from packhorse import files, process
from packhorse.errors import PackhorseError

# A page from disk answers an Accept header in which one form has the full weight and every other
# one less (pip, uv and poetry send such); the rest of PEP 691's rules are the plugin's.
_OTHERS = r"(, ?[^,;]+; ?q=0(\.[0-9]{1,3})?)*$"

_TEMPLATE = r"""# Written by `mirror front`: include it in nginx's http block (Debian: /etc/nginx/conf.d/).
# It follows mirror.toml: write it again when that has changed.

upstream packhorse_devpi {
    server @DEVPI@;
    keepalive 32;
}

# Which form of a page a request wants for sure; "" sends it to devpi.
map "$request_method $args $http_accept" $packhorse_form {
    default "";
    "~^(GET|HEAD)  application/vnd\.pypi\.simple\.v1\+json@OTHERS@" json;
    "~^(GET|HEAD)  text/html@OTHERS@" html;
}

# Test results and deletions go to the URL of a file too: only reading is answered from disk.
map $request_method $packhorse_disk {
    default /.none;
    GET "";
    HEAD "";
}

server {
    listen @LISTEN@;@TLS@
    server_name @SERVER_NAME@;
    client_max_body_size 0;  # how large an upload may be is devpi's business
    gzip_vary on;

    location ~ "^/(?<packhorse_stage>[^/+]+/[^/+]+)/\+simple/(?<packhorse_project>[a-z0-9]+(-[a-z0-9]+)*)/$" {
        root "@PAGES@";
        types { application/vnd.pypi.simple.v1+json json; text/html html; }
        charset utf-8;
        gzip_static on;
        add_header Cache-Control no-cache;
        add_header Vary Accept;
        try_files /fresh/$packhorse_project/$packhorse_stage.$packhorse_form @devpi;
    }

    location ~ "^/[^/+]+/[^/+]+/\+f/(?<packhorse_wheel>[0-9a-f]{3}/[0-9a-f]{13})/[^/]+\.whl\.metadata$" {
        root "@METADATA@";
        types { }
        default_type application/octet-stream;
        add_header Cache-Control "max-age=365000000, immutable, public";
        try_files $packhorse_disk/$packhorse_wheel @devpi;
    }

    location ~ "^/[^/+]+/[^/+]+/\+f/[0-9a-f]{3}/[0-9a-f]{13}/[^/]+$" {
        root "@FILES@";
        types { }
        default_type application/octet-stream;
        add_header Cache-Control "max-age=365000000, immutable, public";
        try_files $packhorse_disk$uri @devpi;
    }

    location / {
        try_files /.none @devpi;
    }

    location @devpi {
        proxy_pass http://packhorse_devpi;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Outside-URL "@OUTSIDE_URL@";
        proxy_set_header X-Real-IP $remote_addr;
        proxy_request_buffering off;  # an upload goes straight through, not to the disk first
        proxy_max_temp_file_size 0;   # nor does a download
        proxy_connect_timeout 5s;
        proxy_send_timeout 1h;
        proxy_read_timeout 1h;        # devpi answers a large upload when it has stored all of it
        error_page 502 504 = @stale;
    }

    # devpi-server does not answer: an expired page is better than none.
    location @stale {
        root "@PAGES@";
        types { application/vnd.pypi.simple.v1+json json; text/html html; }
        charset utf-8;
        gzip_static on;
        add_header Cache-Control no-cache;
        add_header Vary Accept;
        add_header X-Packhorse-Stale unknown;
        try_files /stale/$packhorse_project/$packhorse_stage.$packhorse_form @down;
    }

    location @down {
        default_type text/plain;
        add_header Retry-After 5 always;
        return 503 "The mirror does not answer; what it has on disk is served all the same.\n";
    }
}
"""


def text(config: MirrorConfig, folder: Folder) -> str:
    """The configuration, a whole number of blocks for nginx's http block."""
    return _fill(config, folder, config.front.listen)


def _fill(config: MirrorConfig, folder: Folder, listen: str) -> str:
    certificate, key = config.front.tls_certificate, config.front.tls_key
    tls = f'\n    ssl_certificate "{certificate}";\n    ssl_certificate_key "{key}";' if certificate else ""
    values = {
        "DEVPI": config.url.removeprefix("http://"),
        "OTHERS": _OTHERS,
        "LISTEN": f"{listen} ssl" if certificate else listen,
        "TLS": tls,
        "SERVER_NAME": config.front.server_name,
        "PAGES": str(folder.pages),
        "METADATA": str(folder.metadata),
        "FILES": str(folder.files),
        "OUTSIDE_URL": config.outside_url or "$scheme://$http_host",
    }
    filled = _TEMPLATE
    for name, value in values.items():
        filled = filled.replace(f"@{name}@", value)
    return filled


def write(config: MirrorConfig, folder: Folder, target: Path) -> Iterator[str]:
    """Write the configuration to `target` once nginx accepts it; yields what the user should know.

    Raises PackhorseError with nginx's words when it does not.
    """
    if not folder.initialised():
        raise PackhorseError(f"There is no mirror in {folder.root} yet.", "Make it with `mirror init`.")
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/sbin")
    if nginx is None:
        yield "nginx is not installed here: the configuration was not tested"
    else:
        check(nginx, config, folder)
    _let_in(folder)
    files.write_whole(target, text(config, folder).encode())
    yield f"wrote {target}; include it in nginx's http block and reload nginx"
    for closed in closed_to_others(folder.server):
        yield f"nginx's workers cannot pass {closed}, devpi-server will answer instead: chmod o+x {closed}"


def check(nginx: str, config: MirrorConfig, folder: Folder) -> None:
    """Let nginx test the configuration. Raises PackhorseError with its words."""
    with tempfile.TemporaryDirectory() as scratch:
        # A test binds the address; as root's port may be out of our reach, it gets a socket of its own.
        tested = _fill(config, folder, f"unix:{scratch}/socket")
        main = Path(scratch, "nginx.conf")
        temporary = "".join(
            f"{kind}_temp_path {scratch}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main.write_text(
            f"pid {scratch}/pid;\nevents {{ }}\nhttp {{\naccess_log off;\n{temporary}\n{tested}\n}}\n"
        )
        done = process.run([nginx, "-t", "-q", "-c", str(main), "-e", "stderr"])
    if done.status:
        raise process.failure(
            done,
            "nginx does not accept the configuration that follows from mirror.toml.",
            "Correct [front] in mirror.toml: the output above names the cause.",
        )


def _let_in(folder: Folder) -> None:
    """Let nginx's workers, another user, pass to what is public, and to nothing else."""
    (folder.server / ".sqlite").chmod(0o600)  # it holds the hashes of passwords
    folder.root.chmod(0o711)


def closed_to_others(path: Path) -> list[Path]:
    """The folders on the way to `path` that other users cannot pass."""
    return [part for part in [*reversed(path.parents), path] if not part.stat().st_mode & stat.S_IXOTH]
