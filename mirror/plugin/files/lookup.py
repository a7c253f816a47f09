"""Find the entry of a mirrored file by its address, even if no page here lists the file yet.

A lock names addresses of this mirror, which may have lost what it knew, or never asked.
"""

import re
from collections.abc import Callable
from typing import Any

from mirror.plugin.simple import filenames
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.mirror_stage import CachingStage

Look = Callable[[Any, Any, str], Any]  # `find`, or `find_below`
# What devpi's key_from_link makes; nothing else is worth a question.
_PATH = re.compile(r"[^/]+/[^/]+/\+(?:f/\w{1,3}/\w{1,13}|e/(?!\.{1,2}/)[^/]+)/(?!\.{1,2}$)([^/]+)")


def find(filestore: Any, stage: CachingStage, path: str) -> Any:
    """The entry of the file at `path`, once its page was asked for. May restart the transaction.

    Raises GatewayError: 404 when the upstream has no such file, 503 when nobody knows.
    """
    asked = _PATH.fullmatch(path)
    first_error = None
    for project in filenames.projects_of(asked[1]) if asked else ():
        try:
            unsure = stage.refresh(project).error
        except stage.UpstreamNotFoundError:
            continue
        except GatewayError as error:
            unsure = error
        if entry := known(filestore, path):
            return entry
        first_error = first_error or unsure
    raise first_error or GatewayError(
        404, f"the upstream lists no {path.rpartition('/')[2]} that is filed here"
    )


def find_below(filestore: Any, stage: Any, path: str) -> Any:
    """The entry of a file that a base of `stage` holds, at the address that pages of `stage` have for it.

    None when no base shows such a file. May restart the transaction. Raises GatewayError when nobody knows.
    """
    asked = _PATH.fullmatch(path)
    rest = path.removeprefix(f"{stage.name}/")
    for project in filenames.projects_of(asked[1]) if asked else ():
        try:
            bases = [base for base, _ in stage.op_sro_check_mirror_whitelist("refresh", project=project)]
        except stage.UpstreamNotFoundError:
            continue
        for base in bases:
            if base.name != stage.name and (entry := known(filestore, f"{base.name}/{rest}")):
                return entry
    return None


def find_on_replica(look: Look, filestore: Any, stage: Any, path: str, serves: Callable[[str], bool]) -> Any:
    """Look for the entry of a file on a replica; its pages lack what its primary denies, or has just listed.

    So nothing is missing before the primary has been asked, by `serves`. May restart the transaction. Raises
    GatewayError.
    """
    is_address = _PATH.fullmatch(path)
    try:
        entry = look(filestore, stage, path)
    except GatewayError as error:
        if error.status != 404 or not is_address or not serves(path):
            raise
    else:
        if entry is not None or not is_address or not serves(path):
            return entry
    for base in stage.sro():
        if isinstance(base, CachingStage):
            for project in filenames.projects_of(path.rpartition("/")[2]):
                base.expire(project)
    return look(filestore, stage, path)


def known(filestore: Any, path: str) -> Any:
    """The entry of the file at `path` if a page here lists it, or devpi has written it; else None."""
    entry = filestore.get_file_entry(path)
    return entry if entry is not None and entry.meta else None
