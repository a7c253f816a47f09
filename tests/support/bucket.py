"""A store with an API like S3's (moto's server), and a bucket in it as browsers see it."""

import contextlib
import http.client
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session

from tests.support.servers import BIN, free_port, wait_until

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s3cret-of-the-bucket"}


@dataclass(frozen=True)
class BucketServer:
    """The bucket `name` of a server on loopback, whose `log` has a line for each request."""

    port: int
    log: Path
    name: str = "shop-static"

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def names(self) -> set[str]:
        """The names of all objects."""
        return {row["Key"] for row in self.client().list_objects_v2(Bucket=self.name).get("Contents", ())}

    def get(self, key: str) -> tuple[bytes, Mapping[str, str]]:
        """An object and its headers, as a browser gets them."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", f"/{self.name}/{key}")
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.read(), {"status": str(answer.status), **headers}

    def requests(self, method: str) -> list[str]:
        """The requests of this `method` to the bucket until now."""
        lines = self.log.read_text().splitlines()
        return [line for line in lines if f'"{method} /{self.name}' in line]

    def make(self) -> None:
        """Make the bucket, which anybody may read."""
        self.client().create_bucket(Bucket=self.name, ACL="public-read")

    def client(self) -> Any:  # noqa: ANN401  # botocore has no types
        """The client of the store's owner."""
        return botocore.session.Session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )


@contextlib.contextmanager
def bucket_server(folder: Path) -> Iterator[BucketServer]:
    """A running server; its log lies in `folder`."""
    made = BucketServer(free_port(), folder / "bucket.log")
    with made.log.open("w") as log:
        command = [str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(made.port)]
        with subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                wait_until("the store", lambda: "Running on" in made.log.read_text())
                made.make()
                yield made
            finally:
                process.terminate()
