"""Replace devpi's two kinds of index by ours: mirrors, and indexes that files are uploaded to."""

from typing import Any

from devpi_server import model

from mirror.plugin.uploads.upload_stage import UploadStage
from mirror.plugin.upstream.mirror_stage import CachingStage
from mirror.plugin.upstream.services import SERVICES, Services


def apply(xom: Any, services: Services) -> None:
    """Let devpi make indexes of our classes; the mirrors of `xom` use `services`."""
    xom.set_singleton(*SERVICES, services)
    model.User.MirrorStage = CachingStage  # type: ignore[assignment, method-assign]  # a cached property there
    apply_to_uploads()


def apply_to_uploads() -> None:
    """Let devpi make indexes of uploads of our class, in its commands too: it cannot read what we store."""
    model.PrivateStage = UploadStage  # type: ignore[misc]  # User._getstage looks it up by this name
