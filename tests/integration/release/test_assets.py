"""Static files in a bucket, a real store: pushed before the switch of a deploy, and removed when unneeded."""

import gzip
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support import documents
from tests.support.bucket import CREDENTIALS, BucketServer, bucket_server
from tests.support.local_target import Host, running_host, stopped_at
from tests.support.servers import BIN, run_command, short_home
from tests.support.tiny_app import NAME, app_sdist, app_wheel

OLD, NEW = "app.0123abcd.css", "app.89efcdab.css"
SCRIPT = b"let page = 1;" * 100
PACKED = gzip.compress(SCRIPT, 9, mtime=1)
_, TOML = [block.text for block in documents.blocks("static.md") if block.filename == "release.toml"]
(COMMANDS,) = [block.text for block in documents.blocks("static.md") if block.language == "sh"]


@dataclass
class Shop:
    """The target `local`, and the bucket to which its deploys push."""

    host: Host
    bucket: BucketServer

    def configure(self, keep: int = 5, endpoint: str = "") -> None:
        """As the page has it, but for names and addresses."""
        text = TOML.replace("https://s3.example.com", endpoint or self.bucket.endpoint)
        self.host.configure(f"keep = {keep}")
        own = self.host.project / "release.toml"
        own.write_text(own.read_text() + text.replace('["production"]', '["local"]'))

    def release(self, *arguments: str, status: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `release` in the project, with the credentials."""
        env = {**self.host.environment, **CREDENTIALS, **more}
        done = run_command(BIN / "release", *arguments, env=env, cwd=self.host.project, status=status)
        assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr
        return done

    def deploy(self, version: str, status: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        return self.release("deploy", "local", f"{NAME}=={version}", status=status, **more)

    def prune(self, option: str) -> dict[str, object]:
        """What a prune says that it has removed, and left."""
        found: dict[str, object] = json.loads(
            self.release("assets", "prune", "local", "--json", option).stdout
        )
        return found

    def environment(self) -> dict[str, str]:
        """That of the process that serves."""
        found: dict[str, str] = json.loads(self.host.get("/env"))
        return found


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """Nothing is deployed yet."""
    with short_home() as home, running_host(home) as host, bucket_server(home) as bucket:
        shared = {"app.js": SCRIPT, "app.js.gz": PACKED, "i/logo.svg": b"<svg/>"}
        for version, hashed in (("1.0.0", OLD), ("2.0.0", NEW)):
            host.served.add(NAME, app_wheel(version, static={**shared, hashed: b"a { }"}))
        (host.project / "pyproject.toml").write_text(f'[project]\nname = "{NAME}"\n')
        made = Shop(host, bucket)
        made.configure()
        yield made


def test_a_deploy_pushes_what_the_wheel_has_and_tells_the_application_where(shop: Shop) -> None:
    """With types, times and encodings as nginx has them."""
    said = shop.deploy("1.0.0").stderr
    assert "Pushing 3 of 3 static files to shop-static" in said
    assert shop.bucket.names() == {f"shop/{name}" for name in (OLD, "app.js", "i/logo.svg")}
    body, headers = shop.bucket.get(f"shop/{OLD}")
    assert (body, headers["content-type"]) == (b"a { }", "text/css; charset=utf-8")
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    body, headers = shop.bucket.get("shop/app.js")
    assert (body, headers["content-encoding"]) == (PACKED, "gzip")
    assert headers["cache-control"] == "public, max-age=60"
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    environment = shop.environment()
    assert environment["STATIC_URL"] == "https://static.example.com/shop/"
    assert not [name for name in environment if name.startswith("AWS_")]


def test_only_what_is_not_there_is_sent_and_the_bucket_is_listed_once(shop: Shop) -> None:
    """A question for each of thousands of files would take minutes."""
    before = {method: len(shop.bucket.requests(method)) for method in ("PUT", "HEAD", "GET")}
    assert "Pushing 1 of 3 static files" in shop.deploy("2.0.0").stderr
    assert len(shop.bucket.requests("PUT")) == before["PUT"] + 1
    assert len(shop.bucket.requests("GET")) == before["GET"] + 1
    assert len(shop.bucket.requests("HEAD")) == before["HEAD"]
    assert {f"shop/{OLD}", f"shop/{NEW}"} <= shop.bucket.names()


def test_the_page_does_what_it_says(shop: Shop) -> None:
    """Its commands, as they are there."""
    env = {**shop.host.environment, **CREDENTIALS}
    text = COMMANDS.replace("production", "local")
    run_command("sh", "-eux", "-c", text, env=env, cwd=shop.host.project)
    assert {f"shop/{OLD}", f"shop/{NEW}"} <= shop.bucket.names(), "both releases are kept"


def test_what_the_user_has_set_stays(shop: Shop) -> None:
    """STATIC_URL may be another name of the same CDN."""
    shop.configure(keep=1)  # from now on no release of 1.0.0 is here any more
    shop.release("config", "set", "local", "STATIC_URL=https://cdn.example.com/")
    assert shop.environment()["STATIC_URL"] == "https://cdn.example.com/"
    shop.release("config", "unset", "local", "STATIC_URL")
    assert shop.environment()["STATIC_URL"] == "https://static.example.com/shop/"


def test_a_push_that_fails_stops_the_deploy_before_the_switch(shop: Shop) -> None:
    """Pages without style are worse than the release before; nothing is left of the new one."""
    shop.configure(endpoint="http://127.0.0.1:9")
    kept = shop.host.status()["release"]
    failed = shop.deploy("1.0.0", status=1, AWS_MAX_ATTEMPTS="1").stderr
    assert "The bucket shop-static at http://127.0.0.1:9 cannot be listed: Could not connect" in failed
    shop.configure()
    assert (shop.host.get(), shop.host.status()["release"]) == ("2.0.0", kept)
    without = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    assert "Set AWS_ACCESS_KEY_ID and" in shop.deploy("1.0.0", status=1, **without).stderr
    assert shop.host.get() == "2.0.0"


def test_a_plan_pushes_nothing(shop: Shop) -> None:
    """It touches nothing."""
    before = len(shop.bucket.requests("PUT"))
    shop.release("deploy", "local", f"{NAME}==1.0.0", "--plan")
    assert len(shop.bucket.requests("PUT")) == before


def test_a_prune_keeps_what_any_release_has_and_removes_the_rest(shop: Shop) -> None:
    """Also what is of a deploy that failed later; what others have in the bucket is none of its business."""
    shop.host.served.add(NAME, app_wheel("3.0.0", "import", static={"x.33333333abcd.css": b""}))
    shop.deploy("3.0.0", status=1)
    assert "shop/x.33333333abcd.css" in shop.bucket.names()
    shop.bucket.client().put_object(Bucket=shop.bucket.name, Key="shop-2/a.css", Body=b"")
    own = {
        "Bucket": shop.bucket.name,
        "Key": "shop/stray <b>.css",
        "Metadata": {"packhorse": f"{NAME} shop/"},
    }
    shop.bucket.client().put_object(**own, Body=b"")
    shop.bucket.client().put_object(Bucket=shop.bucket.name, Key="shop/v2/a.css", Body=b"")
    before = shop.bucket.names()
    unneeded = ["shop/app.0123abcd.css", "shop/stray <b>.css"]
    assert shop.prune("--dry-run")["removed"] == unneeded
    assert shop.bucket.names() == before
    assert "Nobody can be asked here" in shop.release("assets", "prune", "local", status=1).stderr
    assert shop.bucket.names() == before
    done = shop.prune("--yes")
    assert (done["removed"], done["foreign"]) == (unneeded, ["shop/v2/a.css"])
    assert shop.bucket.names() == before - set(unneeded)
    assert {"shop-2/a.css", f"shop/{NEW}", "shop/app.js"} <= shop.bucket.names()


def test_a_prune_waits_for_a_deploy(shop: Shop) -> None:
    """Its release is not there yet, and its files may be what the prune would remove."""
    before = shop.bucket.names()
    with stopped_at(shop.host, "1.0.0", "fetch"):
        refused = shop.release("assets", "prune", "local", status=1).stderr
    assert "tiny is busy" in refused
    assert "Nothing was removed" in refused
    assert shop.bucket.names() == before


def test_an_sdist_has_the_files_of_its_own_wheel(shop: Shop) -> None:
    """And a version without any says so, before any host is changed."""
    shop.host.served.add(NAME, app_sdist("4.0.0"))
    refused = shop.release("assets", "push", "local", f"{NAME}==4.0.0", status=1).stderr
    assert "tiny-4.0.0.tar.gz has no files in tiny/static" in refused


def test_a_target_without_a_bucket_says_so(shop: Shop) -> None:
    """In two lines."""
    refused = shop.release("assets", "push", "web9.example.com", status=1).stderr
    assert "web9.example.com has no bucket for static files" in refused
