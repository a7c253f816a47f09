"""GET /user/index/+why/PROJECT: which files of a project are listed there, and why others are not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from devpi_server.normalized import normalize_name
from devpi_server.views import apiresult, json_preferred
from pyramid.httpexceptions import HTTPNotFound
from pyramid.response import Response

from mirror import decision_summary
from mirror.plugin import pinned_hashes, reservations
from mirror.plugin.access import clients
from mirror.plugin.files import lost_uploads
from mirror.plugin.guards.guards import Guards, Judged
from mirror.plugin.policy.evaluation import Denial, Policy
from mirror.plugin.simple import filenames
from mirror.plugin.upstream import primary
from mirror.plugin.upstream.client import GatewayError, UpstreamClient

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}


def install(pyramid_config: Any, guards: Guards, upstreams: UpstreamClient) -> None:
    """Add the address."""
    pyramid_config.add_route("packhorse why", "/{user:[^+/]+}/{index:[^+/]+}/+why/{project:[^/]+}")
    pyramid_config.add_view(
        lambda context, request: show(guards, upstreams, context, request), route_name="packhorse why"
    )


def show(guards: Guards, upstreams: UpstreamClient, context: Any, request: Any) -> Any:
    """The decisions about a project, as JSON for those who prefer it, else as HTML."""
    project = normalize_name(request.matchdict["project"])
    if not filenames.is_project(project):
        raise HTTPNotFound("No project can have this name.")
    if not request.has_permission("pkg_read"):
        raise HTTPNotFound("No such index.")
    client = clients.of_request(request)
    found = decisions(guards, context.stage, project, client)
    if context.stage.xom.is_replica():
        found = _with_primary(upstreams, client, context.stage, found)
    if json_preferred(request):
        answer = apiresult(200, result=found, type="decisions")
    else:
        answer = Response(as_html(found), content_type="text/html", charset="utf-8")
    answer.headers.update(_HEADERS)
    return answer


def _with_primary(upstreams: UpstreamClient, client: str, stage: Any, own: dict[str, Any]) -> dict[str, Any]:
    """The decisions of this replica's primary, whose pages lack what it denies, and what is denied here."""
    try:
        found = primary.decisions(upstreams, stage.xom, client, stage.name, own["project"])
    except GatewayError as error:
        note = f"the primary does not say what it decides, and may deny more: {error.text}"
        return {**own, "notes": [note, *own["notes"]]}
    denied = {(file["index"], file["filename"]): file for file in own["files"] if not file["allowed"]}
    files = [
        denied.get((file["index"], file["filename"]), file) if file["allowed"] else file
        for file in found["files"]
    ]
    return {**found, "files": files}


def decisions(guards: Guards, stage: Any, project: str, client: str) -> dict[str, Any]:
    """The decisions about each file of `project` on `stage`, and notes about the project itself."""
    held, notes = _held(stage, project)
    if held and stage.xom.config.offline_mode:
        notes.append("this mirror is offline: pages show only the files that are in its cache")
    if reservations.hides_upstreams(stage, project):
        notes.append(f"the name {project} is reserved: nothing is listed that an upstream has under it")
    for base, detail in held:
        notes += _changed(stage.keyfs, f"{base.name}/{project}/")
        if base.ixconfig["type"] == "stage" and not stage.xom.is_replica():  # which fetches what it lacks
            notes += decision_summary.bounded(list(lost_uploads.notes(stage.filestore, detail.files)))
    if held:
        try:
            guards.gathering.begin(stage, project, client)
        except GatewayError as error:
            notes.append(error.text)
    judged = [(base.name, guards.judged(stage, base, detail)) for base, detail in held]
    notes += [
        f"{project} looks like {each.looks_like}, a name that is reserved for packages of your own"
        for _, each in judged
        if each.looks_like
    ]
    return {
        "project": project,
        "on": stage.name,
        "notes": notes,
        "policies": list(described(guards.declared().of(_names(stage)))),
        "files": [file for index, each in judged for file in _files(index, each)],
    }


def _held(stage: Any, project: str) -> tuple[list[tuple[Any, Any]], list[str]]:
    """The bases of `stage` that have `project`, with their details of it; notes why there is none."""
    try:
        _ = list(stage.op_sro_check_mirror_whitelist("refresh", project=project))
        held = list(stage.op_sro_check_mirror_whitelist("facts", project=project))
    except stage.UpstreamNotFoundError:
        return [], [f"the upstream has no {project}"]
    except GatewayError as error:
        if stage.xom.config.offline_mode:
            return [], [
                f"this mirror is offline, and has no page of {project}: `mirror bundle load` brings one"
            ]
        # Without a connection, the last failure may be that of another project.
        return [], [f"the upstream does not answer now; the last time: {error.text}"]
    return held, [] if held else [f"none of its indexes has it: {', '.join(_names(stage))}"]


def _changed(keyfs: Any, path: str) -> Iterator[str]:
    """Notes about the files of a project, at `path` on its mirror, that its upstream has changed."""
    for each, file in pinned_hashes.reported(keyfs).items():
        if each.startswith(path):
            yield (
                f"{each.removeprefix(path)} was changed upstream, seen {file['at']}: the old one"
                f" ({file['kept']}) is listed, the new one ({file['refused']}) refused;"
                f" to take it: mirror accept-changed {each}"
            )


def _names(stage: Any) -> list[str]:
    return [each.name for each in stage.sro()]


def _files(index: str, judged: Judged) -> Iterator[dict[str, Any]]:
    for file, denial in judged.denied:
        yield {**_file(index, file.filename), "allowed": False, **denial._asdict()}
    reported = {file.filename: denial.sentence for file, denial in judged.reported}
    for listed in judged.shown.files:
        yanked = {"yanked": listed.yanked} if listed.yanked is not False else {}
        found = {"reported": reported[listed.filename]} if listed.filename in reported else {}
        yield {**_file(index, listed.filename), "allowed": True, **yanked, **found}


def _file(index: str, filename: str) -> dict[str, Any]:
    return {"filename": filename, "version": filenames.version_of(filename), "index": index}


def described(policies: list[Policy]) -> Iterator[dict[str, str]]:
    """Policies in words."""
    for policy in policies:
        for rule in policy.rules:
            yield {"index": policy.index, "rule": rule.name, "words": rule.describe()}


def as_html(found: Mapping[str, Any]) -> str:
    """For people; nothing in it is a link or a script, as upstreams have written parts of it."""
    title = escape(f"{found['project']} on {found['on']}")
    files = decision_summary.newest_first(found["files"])
    denied = [file for file in files if not file["allowed"]]
    rules = [
        f"{each['index'] or 'all indexes'}, {each['rule']}: {each['words']}" for each in found["policies"]
    ]
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>Why: {title}</title></head><body>',
        f"<h1>{title}</h1>",
        *(f"<p>{escape(note)}</p>" for note in found["notes"]),
        f"<p>{len(files) - len(denied)} files are listed, {len(denied)} are not{_newest(files)}.</p>",
        _list(decision_summary.counts(decision_summary.denied(files))),
        _list(f"{file['filename']} is yanked{_colon(file)}" for file in files if "yanked" in file),
        _list(f"{file['filename']}: {_sentence(file)}" for file in denied),
        _list(f"{file['filename']} is listed: {file['reported']}" for file in files if "reported" in file),
        "<h2>Policies</h2>",
        _list(rules),
        "</body></html>\n",
    ]
    return "\n".join(lines)


def _list(texts: Iterable[str]) -> str:
    items = (f"<li>{escape(text)}</li>" for text in decision_summary.bounded(list(texts)))
    return "\n".join(["<ul>", *items, "</ul>"])


def _newest(files: Sequence[Mapping[str, Any]]) -> str:
    newest = decision_summary.newest_listed(files)
    return f"; newest listed: {escape(newest)}" if newest else ""


def _colon(file: Mapping[str, Any]) -> str:
    return f": {file['yanked']}" if isinstance(file["yanked"], str) and file["yanked"] else ""


def _sentence(file: Mapping[str, Any]) -> str:
    return Denial(file["rule"], file["policy_of"], file["reason"]).sentence
