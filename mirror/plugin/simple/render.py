"""Render project pages in HTML (PEP 503) and JSON (PEP 691)."""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape

from mirror.plugin.simple import file_rows
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ROOT, ProjectFile, best_hash

# What each minor version adds that a page MUST have: 1.1 sizes and versions (PEP 700). 1.2 (PEP 708),
# 1.3 (PEP 740) and 1.4 (PEP 792) add optional keys only.
NEWEST, WITHOUT_SIZES = "1.4", "1.0"
_HASH_IN_JSON = re.compile(rb'"core-metadata":\{"sha256":"[0-9a-f]{64}"\}')
_HASH_IN_HTML = re.compile(rb'(data-(?:core|dist-info)-metadata)="sha256=[0-9a-f]{64}"')


def as_json(project: ProjectDetail) -> bytes:
    """The JSON page of `project`, for any index."""
    rows = file_rows.rows(project.files)
    meta: dict[str, object] = {"api-version": NEWEST if rows.have_sizes() else WITHOUT_SIZES}
    if project.tracks:
        meta["tracks"] = project.tracks
    if project.withheld:
        meta |= {"_withheld": project.withheld, "_why": _why(project)}  # an underscore: no standard's key
    head: dict[str, object] = {"meta": meta, "name": project.name, "versions": project.versions}
    if project.alternate_locations:
        head["alternate-locations"] = project.alternate_locations
    if project.status:
        head["project-status"] = dict(project.status)
    begin = json.dumps(head, separators=(",", ":")).removesuffix("}")
    files = rows.text.replace("\n", ",\n")
    return f'{begin},"files":[\n{files}\n]}}'.encode()


def as_html(project: ProjectDetail, index: str) -> bytes:
    """The HTML page: the version says how to read it, and nothing in HTML is mandatory above 1.0."""
    title = escape(f"{index}: links for {project.name}")
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en"><head>',
        f'<meta name="pypi:repository-version" content="{NEWEST}">',
        *(f'<meta name="pypi:{key}" content="{escape(value)}">' for key, value in _metas(project)),
        f"<title>{title}</title>",
        f"</head><body><h1>{title}</h1>",
        *([f"<p>{_why(project)}</p>"] if project.withheld else []),
        *(_anchor(file) for file in project.files),
        "</body></html>\n",
    ]
    return "\n".join(lines).encode()


def is_still_true(stored: bytes, now: bytes) -> bool:
    """Whether a page that was rendered earlier says the same as one of now, in the same form.

    It may promise the metadata of a wheel without the hash that is known by now: no page is dropped for that.
    """
    lines, lines_now = stored.split(b"\n"), now.split(b"\n")  # a file each
    return len(lines) == len(lines_now) and all(
        line
        in {line_now, _HASH_IN_HTML.sub(rb'\1="true"', _HASH_IN_JSON.sub(b'"core-metadata":true', line_now))}
        for line, line_now in zip(lines, lines_now, strict=True)
        if line != line_now
    )


def _why(project: ProjectDetail) -> str:
    """In words, as installers take every link for a file."""
    return f"{project.withheld} files are withheld by policies: ../../+why/{project.name} says why"


def _metas(project: ProjectDetail) -> Iterator[tuple[str, str]]:
    """The names and contents of PEP 708 and PEP 792."""
    yield from (("tracks", url) for url in project.tracks)
    yield from (("alternate-locations", url) for url in project.alternate_locations)
    if "status" in project.status:
        yield "project-status", project.status["status"]
    if "reason" in project.status:
        yield "project-status-reason", project.status["reason"]


def _anchor(file: ProjectFile) -> str:
    best = best_hash(file.hashes)
    attributes = {"href": ROOT + file_rows.quoted_path(file.path) + (f"#{best}" if best else "")}
    if file.requires_python is not None:
        attributes["data-requires-python"] = file.requires_python
    if file.yanked is not False:
        attributes["data-yanked"] = "" if file.yanked is True else file.yanked
    if file.core_metadata is not False:
        stated = best_hash(file.core_metadata) if isinstance(file.core_metadata, Mapping) else "true"
        attributes |= {"data-core-metadata": stated, "data-dist-info-metadata": stated}
    if file.provenance is not None:
        attributes["data-provenance"] = file.provenance
    written = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    return f"<a {written}>{escape(file.filename)}</a><br>"
