"""What packhorse-nginx-check makes of nginx's words about a domain that two files serve."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[3] / "ansible/roles/nginx/files/packhorse_nginx_check.py"
DUMP = """\
# configuration file /etc/nginx/nginx.conf:
http { include /etc/nginx/packhorse/*.conf; }

# configuration file /etc/nginx/packhorse/a.conf:
server { listen 80; server_name A.example.com; } server { listen 81; server_name "b.example.com"
  c.example.com; }

# configuration file /etc/nginx/packhorse/b.conf:
server {
    # server_name d.example.com;
    listen 80; server_name b.example.com a.example.com;
}
"""


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("packhorse_nginx_check", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def warning(name: str) -> str:
    return f'nginx: [warn] conflicting server name "{name}" on 0.0.0.0:80, ignored\n'


def test_two_lines_say_who_has_the_domain(program: ModuleType) -> None:
    """Not where it is wrong in nginx's words, but where to look."""
    b = "/etc/nginx/packhorse/b.conf"
    assert list(program.taken(warning("a.example.com"), DUMP, b)) == [
        "Error: a.example.com is taken: /etc/nginx/packhorse/a.conf serves it already.",
        "Hint: Choose another name: domains in release.toml, server_name in mirror.toml.",
    ]


@pytest.mark.parametrize("name", ["c.example.com", "d.example.com", "e.example.com"])
def test_a_conflict_of_others_does_not_stop_this_file(program: ModuleType, name: str) -> None:
    """Two vhosts of somebody else are theirs to mend; what nginx does not warn of is none."""
    assert list(program.taken(warning(name), DUMP, "/etc/nginx/packhorse/b.conf")) == []
    assert list(program.taken("", DUMP, "/etc/nginx/packhorse/b.conf")) == []


DEBIANS = """##
server {
	listen 80 default_server; # first
	listen [::]:80 default_server;
	root /var/www/html;
	index index.html index.htm index.nginx-debian.html;
	server_name _;
	location / {
		try_files $uri $uri/ =404;
	}
}
"""
PLACE = "/etc/nginx/packhorse/shop.conf"


def occupied(program: ModuleType, file: str, text: str, *, welcomes: bool = True) -> list[str]:
    dump = f"# configuration file /etc/nginx/nginx.conf:\nhttp {{ }}\n# configuration file {file}:\n{text}"
    return list(program.occupied(dump, PLACE, welcomes=welcomes))


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (PLACE, "server { listen 80; }\n"),
        ("/etc/nginx/packhorse/other.conf", "server { listen 80; server_name a.example.com; }\n"),
        ("/etc/nginx/sites-enabled/default", DEBIANS),
        ("/etc/nginx/conf.d/gzip.conf", "gzip on; # listen 80\n"),
    ],
)
def test_the_name_of_a_host_is_free_where_nothing_else_answers(
    program: ModuleType, file: str, text: str
) -> None:
    """Applications have domains of their own, and Debian's welcome is for nobody."""
    assert occupied(program, file, text) == []


@pytest.mark.parametrize(
    ("file", "text", "welcomes"),
    [
        ("/etc/nginx/conf.d/packhorse-mirror.conf", "server { listen 80; server_name _; }\n", True),
        ("/etc/nginx/sites-enabled/default", DEBIANS.replace("try_files $uri", "proxy_pass $a"), True),
        ("/etc/nginx/sites-enabled/default", DEBIANS, False),  # somebody has put pages there
    ],
)
def test_what_answers_for_the_host_already_keeps_its_name(
    program: ModuleType,
    file: str,
    text: str,
    welcomes: bool,  # noqa: FBT001
) -> None:
    """Else an application without domains would take the address of the mirror from all its clients."""
    assert occupied(program, file, text, welcomes=welcomes)[0].startswith(
        f"Error: The name of this host is taken: {file} answers there already."
    )
