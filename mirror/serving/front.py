"""Write the configuration of nginx, which serves from disk what is there and asks devpi-server for the rest.

Pages come from the folder that the plugin fills (mirror/plugin/pages/store.py), files and metadata by links
in it (mirror/plugin/pages/open_files.py). devpi-server answers every other request.
"""

import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mirror import config as configuration
from mirror.config import MirrorConfig
from mirror.serving import protected_front
from mirror.state import Folder
from packhorse import files, process
from packhorse.errors import PackhorseError

# nginx answers an Accept header in which one form has the full weight and every other one less (pip, uv and
# poetry send such); the plugin applies the rest of PEP 691's rules.
_LESSER_FORMS = r"(, ?[^,;]+; ?q=0(\.[0-9]{1,3})?)*$"

# Fresh pages and stale ones. None is there but as .gz; gunzip is for the few clients that take none.
_PAGE = """\
        root "@PAGES@";
        types { application/vnd.pypi.simple.v1+json json; text/html html; }
        charset utf-8;
        gzip_static always;
        gunzip on;
        log_not_found off;
        add_header Cache-Control no-cache;
        add_header X-Content-Type-Options nosniff always;
        add_header Content-Security-Policy "default-src 'none'";
        add_header Vary Accept;
"""

_TEMPLATE = r"""# Written by `mirror front`: include it in nginx's http block (Debian: /etc/nginx/conf.d/).
# It follows mirror.toml: write it again when that has changed.

# nginx itself needs `worker_connections 4096;` or more in its events block: it has 512 by default, and one
# client can hold them all for as long as a header may take.
limit_conn_zone $binary_remote_addr zone=packhorse_clients:10m;

upstream packhorse_devpi {
    server @DEVPI@;
    keepalive 32;
}

# The form of a page that a request certainly prefers; no page has the form "none": devpi is asked.
map "$request_method $args $http_accept" $packhorse_form {
    default none;
    "~^(GET|HEAD)  application/vnd\.pypi\.simple\.v1\+json@LESSER_FORMS@" json;
    "~^(GET|HEAD)  text/html@LESSER_FORMS@" html;
}

@PROTECTED_HTTP@# Clients also delete files and post test results at their URLs: nginx answers only reads.
map $request_method $packhorse_disk {
    default /.none;
    GET "";
    HEAD "";
}

server {
    listen @LISTEN@;@TLS@
    server_name @SERVER_NAME@;
    server_tokens off;
    add_header X-Content-Type-Options nosniff always;
    gzip_vary on;
    gzip_proxied any;  # behind another proxy, too
    recursive_error_pages on;  # a page that is not there: from devpi; without that: an expired one
    max_ranges 4;
    client_max_body_size @MAX_UPLOAD@m;  # devpi has smaller limits, by who sends and where
    client_header_timeout 20s;
    client_body_timeout 60s;
    send_timeout 60s;
    reset_timedout_connection on;
    large_client_header_buffers 4 16k;

    location ~ "^/(?<packhorse_stage>@INDEX@)/\+simple/(?<packhorse_project>[a-z0-9]+(-[a-z0-9]+)*)/$" {
@PAGE@        error_page 403 404 405 = @PAGE_ELSE@;
        rewrite ^ /fresh/$packhorse_project/$packhorse_stage.$packhorse_form break;
    }

    # Links to what nginx may serve without asking: all, or what policies allow.
    location ~ "^/(?<packhorse_stage>@INDEX@)/\+f/(?<packhorse_wheel>@HASH@)/[^/]+\.whl\.metadata$" {
        root "@PAGES@/open";
        types { }
        default_type application/octet-stream;
        add_header Cache-Control "max-age=365000000, immutable, public";
        add_header X-Content-Type-Options nosniff always;
        try_files $packhorse_disk/$packhorse_stage/metadata/$packhorse_wheel =404;
        error_page 404 = @METADATA_ELSE@;  # also for what was pruned since try_files has seen it
    }

    location ~ "^/(?<packhorse_stage>@INDEX@)/(?<packhorse_file>\+f/@HASH@/[^/]+)$" {
        root "@PAGES@/open";
        types { }
        default_type application/octet-stream;
        add_header Cache-Control "max-age=365000000, immutable, public";
        add_header X-Content-Type-Options nosniff always;
        try_files $packhorse_disk/$packhorse_stage/files/$packhorse_file =404;
        error_page 404 = @FILE_ELSE@;
    }

@PROTECTED@    location = /+metrics {
        @METRICS@
    }

    location / {
        try_files /.none @devpi;
    }

    location @devpi {
        proxy_pass http://packhorse_devpi$request_uri;  # as it was sent, whatever nginx has made of it
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Outside-URL "@OUTSIDE_URL@";
        proxy_set_header X-Real-IP $remote_addr;  # devpi believes this machine alone
        proxy_hide_header X-Content-Type-Options;  # ours is there already
        limit_conn packhorse_clients @REQUESTS_PER_CLIENT@;
        limit_conn_status 429;
        error_page 429 = @busy;
        proxy_request_buffering off;  # an upload goes straight through, not to the disk first
        proxy_max_temp_file_size 0;   # nor does a download
        proxy_connect_timeout 5s;
        proxy_send_timeout 1h;
        proxy_read_timeout 1h;        # devpi answers a large upload when it has stored all of it
        error_page 502 504 = @stale;
    }

    # devpi-server does not answer: an expired page is better than none.
    location @stale {
@PAGE@        add_header X-Packhorse-Stale unknown;
        error_page 403 404 405 = @down;
        rewrite ^ /stale/$packhorse_project/$packhorse_stage.$packhorse_form break;
    }

    location @busy {
        default_type text/plain;
        add_header Retry-After 1 always;
        add_header X-Content-Type-Options nosniff always;
        return 429 "Too many requests of this address at the same time.\n";
    }

    location @down {
        default_type text/plain;
        add_header Retry-After 5 always;
        add_header X-Content-Type-Options nosniff always;
        return 503 "The mirror does not answer; what it has on disk is served all the same.\n";
    }
}
"""


def text(config: MirrorConfig, folder: Folder) -> str:
    """The configuration: complete blocks for nginx's http block. Looks at nothing in `folder`."""
    return _fill(config, folder, config.front.listen, config.front.login_cache)


def _fill(config: MirrorConfig, folder: Folder, listen: str, cache: str) -> str:
    if re.search(r'[\x00-\x1f"\\$\x7f]', str(folder.root)):
        raise PackhorseError(
            f"nginx cannot serve from {folder.root}: quotes, $ and \\ have a meaning for it.",
            "Move the folder, and set PACKHORSE_HOME to its new path.",
        )
    certificate, key = config.front.tls_certificate, config.front.tls_key
    tls = f'\n    ssl_certificate "{certificate}";\n    ssl_certificate_key "{key}";' if certificate else ""
    values = {
        **_protected(config),
        "CACHE": cache,
        "INDEX": "[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*",  # as plugin/pages/store.py has it
        "DEVPI": config.url.removeprefix("http://"),
        "LESSER_FORMS": _LESSER_FORMS,
        "LISTEN": f"{listen} ssl" if certificate else listen,
        "TLS": tls,
        "SERVER_NAME": config.front.server_name,
        "HASH": "[0-9a-f]{3}/[0-9a-f]{13}",
        "PAGES": str(folder.pages),
        "MAX_UPLOAD": str(config.max_upload),
        "REQUESTS_PER_CLIENT": str(config.front.requests_per_client),
        "METRICS": "try_files /.none @devpi;" if config.metrics.is_shared else "return 404;",
        "OUTSIDE_URL": config.outside_url or _outside_url(config.front.server_name),
    }
    filled = _TEMPLATE.replace("@PAGE@", _PAGE)
    for name, value in values.items():
        filled = filled.replace(f"@{name}@", value)
    return filled


def _protected(config: MirrorConfig) -> dict[str, str]:
    """Blocks that serve protected indexes, if there are any; without them devpi-server does."""
    names = ("page", "metadata", "file")
    if not config.readers:
        return {"PROTECTED_HTTP": "", "PROTECTED": "", **{f"{name.upper()}_ELSE": "@devpi" for name in names}}
    elsewhere = {f"{name.upper()}_ELSE": f"$packhorse_{name}_else" for name in names}
    http, server = protected_front.HTTP.lstrip(), protected_front.SERVER.lstrip("\n")
    return {"PROTECTED_HTTP": f"{http}\n", "PROTECTED": f"{server}\n", **elsewhere}


def _outside_url(server_name: str) -> str:
    """The URL that devpi puts into its answers: what a client states as Host only if no name is set."""
    return "$scheme://$http_host" if set("*_") & set(server_name) else "$scheme://$server_name:$server_port"


def require_tls(config: MirrorConfig) -> None:
    """Raise PackhorseError when nginx would send passwords and packages over a network as they are."""
    if not config.front.tls_certificate and not config.front.listen.startswith("unix:"):
        host = config.front.listen if ":" in config.front.listen else f"0.0.0.0:{config.front.listen}"
        configuration.require_tls(config, "front.listen", f"http://{host}")


def write(config: MirrorConfig, folder: Folder, target: Path) -> Iterator[str]:
    """Write the configuration to `target` once nginx accepts it; yield sentences for the user.

    Raises PackhorseError with nginx's output when nginx refuses it.
    """
    if not folder.initialised():
        raise PackhorseError(f"There is no mirror in {folder.root} yet.", "Make it with `mirror init`.")
    require_tls(config)
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/local/sbin:/usr/sbin:/sbin")
    if nginx is None:
        yield "nginx is not installed here: the configuration was not tested"
    else:
        check(nginx, config, folder)
    _open_to_workers(folder)
    files.write_whole(target, text(config, folder).encode())
    yield f"wrote {target}; include it in nginx's http block and reload nginx"
    for closed in closed_to_others(folder.server):
        yield f"nginx's workers cannot enter {closed}, devpi-server will answer instead: chmod o+x {closed}"


def check(nginx: str, config: MirrorConfig, folder: Folder) -> None:
    """Test the configuration with `nginx -t`. Raises PackhorseError with its output."""
    with tempfile.TemporaryDirectory() as scratch:
        # The test binds the address; we may not bind port 80, so it gets a socket in our folder.
        tested = _fill(config, folder, f"unix:{scratch}/socket", f"{scratch}/logins")
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
            "nginx does not accept the configuration made from mirror.toml.",
            "Correct [front] in mirror.toml: the output above names the cause.",
        )


def _open_to_workers(folder: Folder) -> None:
    """Let nginx's workers, who run as another user, reach the public files and nothing else."""
    (folder.server / ".sqlite").chmod(0o600)  # it holds the hashes of passwords
    folder.root.chmod(0o711)


def closed_to_others(path: Path) -> list[Path]:
    """The folders on the way to `path` that other users cannot enter."""
    return [part for part in [*reversed(path.parents), path] if not part.stat().st_mode & stat.S_IXOTH]
