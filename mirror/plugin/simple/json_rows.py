"""The `files` of a PEP 691 page in, their rows out, if all are as nearly all indexes describe them.

Nothing is left to quote, to resolve or to check in a single file: a quarter of what reading each of
them takes.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from mirror.plugin.simple.file_rows import ROOT, Rows
from mirror.plugin.simple.html_rows import FOLDER, HEX, NAME, has_only

_TIME = b"0123456789-:.TZ"
_FLAGS = {None: "false", False: "false", True: "true", "": "true"}  # an empty reason is one (PEP 592)
File = Mapping[str, Any]


def rows(files: Sequence[File]) -> tuple[list[str], Rows] | None:
    """Names, and rows whose `url` lacks the index; None if a file is unusual.

    Raises what Python does (KeyError, TypeError, AttributeError) where one is no file.
    """
    names = [file["filename"] for file in files]
    urls = [file["url"] for file in files]
    hashes = [file["hashes"] for file in files]
    hashes += [said for said in map(_metadata, files) if isinstance(said, Mapping)]
    digests = [each.get("sha256", "") for each in hashes]
    usual = (
        len(set(names)) == len(names)
        and [url.rpartition("/")[2] for url in urls] == names
        and {url.partition("/")[0] for url in urls} <= {"https:", "http:"}
        and {len(each) for each in hashes} <= {1}
        and {len(digest) for digest in digests} <= {64}
        and {type(file.get("size")) for file in files} <= {int, type(None)}
        and has_only(HEX, digests)
        and has_only(NAME, names)
        and has_only(FOLDER, urls)
        and has_only(_TIME, (file.get("upload-time") or "" for file in files))
    )
    if not usual:
        return None
    origins = [f"{'+' if _metadata(file) else ''}{url}" for file, url in zip(files, urls, strict=True)]
    return names, Rows("\n".join(map(_row, files)), "\n".join(origins))


def _row(file: File) -> str:
    """As file_facts.row writes it."""
    name, digest, said = file["filename"], file["hashes"]["sha256"], _metadata(file)
    time, size, provenance = file.get("upload-time"), file.get("size"), file.get("provenance")
    shown_time = "" if time is None else f',"upload-time":"{time}"'
    shown_size = "" if size is None else f',"size":{size}'
    shown_provenance = "" if provenance is None else f',"provenance":{quoted(provenance)}'
    if said:
        offered = f'{{"sha256":"{said["sha256"]}"}}' if isinstance(said, Mapping) else "true"
        metadata = f',"core-metadata":{offered}'
    else:
        metadata = ',"core-metadata":true' if name[-4:] == ".whl" else ""  # see file_facts.promised
    return (
        f'{{"filename":"{name}","url":"{ROOT}+f/{digest[:3]}/{digest[3:16]}/{name}"'
        f',"hashes":{{"sha256":"{digest}"}}{shown_time}{_python(file.get("requires-python"))}{shown_size}'
        f"{_yanked(file.get('yanked'))}{metadata}{shown_provenance}}}"
    )


def _metadata(file: File) -> Any:
    """What the upstream says of the metadata (PEP 714), None when it has none."""
    return file.get("core-metadata") or file.get("dist-info-metadata") or None


@lru_cache(maxsize=1000)
def _python(said: str | None) -> str:
    return "" if said is None else f',"requires-python":{quoted(said)}'


@lru_cache(maxsize=1000, typed=True)
def _yanked(said: str | bool | None) -> str:  # noqa: FBT001 (one of many kinds)
    if not isinstance(said, str | bool | None):
        raise TypeError(said)
    return f',"yanked":{quoted(said)}' if said and isinstance(said, str) else f',"yanked":{_FLAGS[said]}'
