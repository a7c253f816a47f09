"""Documents of the legacy JSON API (warehouse, /pypi/NAME/json), made from a project's page (PEP 691). Pure.

What is not known here is left out, or null where clients expect the key: `vulnerabilities` above all, an
empty list of which would say that there are none.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from packaging.metadata import parse_email
from packaging.version import Version

from mirror.plugin.simple import filenames
from packhorse import metadata_headers

_TYPES = {".whl": "bdist_wheel", ".egg": "bdist_egg", ".exe": "bdist_wininst", ".rpm": "bdist_rpm"}
_TEXTS = (
    *("summary", "description", "description_content_type", "author", "author_email", "maintainer"),
    *("maintainer_email", "license", "license_expression", "home_page", "download_url"),
)

_OLDEST = Version("0.dev0")

File = dict[str, Any]


def releases(page: Mapping[str, Any], url: str) -> dict[str, list[File]]:
    """Version -> its files, of a page at `url`; those without files, too."""
    found: dict[str, list[File]] = {version: [] for version in page["versions"]}
    for file in page["files"]:
        version = filenames.version_of(file["filename"])
        if version is not None:
            found.setdefault(version, []).append(_file(file, url))
    return found


def version_in(known: Mapping[str, list[File]], wanted: str) -> str | None:
    """The version that `wanted` is a spelling of."""
    if wanted in known:
        return wanted
    key = _key(wanted)
    return next((version for version in known if _key(version) == key), None) if key != _OLDEST else None


def newest(known: Mapping[str, list[File]]) -> str | None:
    """The version that the document of a project is about: the newest final one that is not yanked."""

    def rank(version: str) -> tuple[bool, bool, bool, Version]:
        key, files = _key(version), known[version]
        is_offered = any(not file["yanked"] for file in files)
        return bool(files), is_offered, not key.is_prerelease, key

    return max(known, key=rank, default=None)


def wheel_of(files: list[File]) -> File | None:
    """The wheel whose metadata stand for the version."""
    return next((file for file in files if file["packagetype"] == "bdist_wheel"), None)


def document(
    name: str, version: str, known: Mapping[str, list[File]], metadata: bytes | None, *, whole: bool
) -> dict[str, Any]:
    """The document about `version`, with all releases if `whole`; `metadata` is that of one of its wheels."""
    files = known[version]
    said = {"name": name, "version": version, **_info(metadata)}
    pythons = [file["requires_python"] for file in files if file["requires_python"]]
    said["requires_python"] = said.get("requires_python") or next(iter(pythons), None)
    said["yanked"] = bool(files) and all(file["yanked"] for file in files)
    said["yanked_reason"] = next((file["yanked_reason"] for file in files if said["yanked"]), None)
    made = {"info": said, "urls": files}
    return {**made, "releases": known} if whole else made


def _info(metadata: bytes | None) -> dict[str, Any]:
    """The keys of `info` that metadata tell; null for all when there are none."""
    headers, body, is_cut = metadata_headers.split(metadata or b"")
    raw: Mapping[str, Any] = parse_email(headers)[0]
    said: dict[str, Any] = {key: raw.get(key) for key in _TEXTS}
    said["description"] = said["description"] or body.decode(errors="replace").strip() or None
    addresses = raw.get("project_urls") or {}
    said["project_urls"] = {key: url for key, url in addresses.items() if _is_address(url)} or None
    for key in ("home_page", "download_url"):
        said[key] = said[key] if _is_address(said[key] or "") else None
    said["keywords"] = ",".join(raw.get("keywords", ())) or None
    said["classifiers"] = raw.get("classifiers", [])
    said["platform"] = ",".join(raw.get("platforms", ())) or None
    said["provides_extra"] = raw.get("provides_extra")
    # Null means unknown: Poetry looks into the files then.
    is_known = metadata is not None and not is_cut
    said["requires_dist"] = raw.get("requires_dist", []) if is_known else None
    said["requires_python"] = raw.get("requires_python")
    return said


def _file(file: Mapping[str, Any], url: str) -> File:
    name, yanked = file["filename"], file.get("yanked", False)
    is_wheel = name.endswith(".whl")
    made = {
        "filename": name,
        "url": urljoin(url, file["url"]),
        "digests": file["hashes"],
        "packagetype": _TYPES.get(name[name.rfind(".") :], "sdist"),
        "python_version": name.removesuffix(".whl").split("-")[-3] if is_wheel else "source",
        "requires_python": file.get("requires-python"),
        "yanked": yanked is not False,
        "yanked_reason": yanked if isinstance(yanked, str) else None,
    }
    if "md5" in file["hashes"]:
        made["md5_digest"] = file["hashes"]["md5"]
    if "size" in file:
        made["size"] = file["size"]
    if uploaded := file.get("upload-time"):
        made["upload_time"] = uploaded.removesuffix("Z").partition(".")[0]
        made["upload_time_iso_8601"] = uploaded
    return made


def _key(version: str) -> Version:
    try:
        return Version(version)
    except ValueError:  # from before PEP 440, or of more digits than Python reads: older than all
        return _OLDEST


def _is_address(url: str) -> bool:
    return url.startswith(("https://", "http://"))
