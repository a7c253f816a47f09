"""Push the static files of a version to a bucket, in parallel: what it lacks, found by one listing."""

import concurrent.futures
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from packhorse.errors import PackhorseError
from release import index
from release.assets import objects
from release.assets.bucket import WORKERS, Store
from release.assets.objects import Object
from release.config.assets import Assets
from release.config.static import Static
from release.deploy import identity
from release.deploy.requests import Artifact

T = TypeVar("T")


@dataclass(frozen=True)
class Files:
    """The files of application `app` and their bucket; `signers` as in `identity.read`."""

    app: str
    static: Static
    assets: Assets
    signers: Sequence[str] = ()

    @property
    def prefix(self) -> str:
        """Beginning of the names of all objects."""
        return self.assets.folder(self.app)


@dataclass(frozen=True)
class Plan:
    """The objects of a version, and those of them that are `due`: the bucket lacks them."""

    wanted: list[Object]
    due: list[Object]

    @property
    def unhashed(self) -> list[str]:
        """Names without a hash: each push replaces them, also for releases that still run."""
        return [each.key for each in self.wanted if not each.hashed]


class Push:
    """A push of version `artifact`, which `stop` ends early from another thread; `force`: all that it has."""

    def __init__(
        self,
        files: Files,
        artifact: Artifact,
        store: Store,
        *,
        force: bool = False,
        get: index.Get = index.get,
    ) -> None:
        self.files, self.artifact, self.store, self.force, self.get = files, artifact, store, force, get
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let `run` end soon."""
        self._stopped.set()

    def run(self, say: Callable[[str, str], None]) -> None:
        """Push, and `say` so: before a deploy switches to this version. Raises PackhorseError."""
        plan = self.plan()
        say("assets", self.sentence(plan))
        self.upload(plan, lambda: None)

    def plan(self) -> Plan:
        """Compare the file on the index with a listing of the bucket. Raises PackhorseError."""
        with identity.checked(self.artifact, self.get, self.files.signers) as made:
            wanted = objects.of_version(made, self.files.static, self.files.prefix)
        due = (
            wanted
            if self.force
            else objects.missing(wanted, self.store.stored(self.files.prefix, self._stopped))
        )
        return Plan(wanted, due)

    def sentence(self, plan: Plan) -> str:
        """Sentence about what `upload` does."""
        return f"Pushing {len(plan.due)} of {len(plan.wanted)} static files to {self.files.assets.bucket}"

    def upload(self, plan: Plan, step: Callable[[], None]) -> None:
        """Do it, and call `step` after each object. Raises PackhorseError."""
        in_parallel(plan.due, self.store.put, step, self._stopped)


def in_parallel(
    items: Sequence[T], work: Callable[[T], None], step: Callable[[], None], stopped: threading.Event
) -> None:
    """Do `work` for all items, and call `step` after each; the first error, or a stop, ends it."""

    over = threading.Event()

    def done(item: T) -> bool:
        if stopped.is_set() or over.is_set():
            return False
        try:
            work(item)
        except BaseException:  # at once: other threads begin the next items before `as_completed` tells
            over.set()
            raise
        return True

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        try:
            for each in concurrent.futures.as_completed([pool.submit(done, item) for item in items]):
                if each.result():
                    step()
        finally:  # the pool waits for what has begun, also after Ctrl-C
            over.set()
    if stopped.is_set():
        raise PackhorseError("Stopped before all was done.", "Run the command again; it goes on there.")
