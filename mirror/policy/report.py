"""Text of `mirror policy` and `mirror why`, made of the server's answers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.utils import InvalidName, canonicalize_name, canonicalize_version

from mirror import decision_summary
from packhorse.errors import PackhorseError

FEW = 5  # files of one reason that are named when there are several reasons


def rules_as_text(answer: Mapping[str, Any], log: Sequence[Mapping[str, Any]] = ()) -> str:
    """The policies in force; `log` has the decisions so far."""
    lines = [f"{_where(rule['index'])}  {rule['rule']}: {rule['words']}" for rule in answer["rules"]]
    lines = lines or ["no policy is declared: [policy] in mirror.toml has them"]
    if answer["reserved"]:
        lines.append(f"all indexes of uploads  reserved: {', '.join(answer['reserved'])}")
    lines += [f"seen on an upstream: {words}" for words in look_alikes(log)]
    return "\n".join(lines)


def name_of(project: str) -> str:
    """The normalised name. Raises PackhorseError."""
    try:
        return canonicalize_name(project, validate=True)
    except InvalidName as error:
        raise PackhorseError(
            f'"{_printable(project)}" names no project.', "Write NAME or NAME==VERSION, such as demo==1.2."
        ) from error


def of_version(answer: Mapping[str, Any], version: str | None) -> dict[str, Any]:
    """`answer` with the files of one version alone. Raises PackhorseError when there is no such version."""
    files = [
        file
        for file in answer["files"]
        if version is None or canonicalize_version(file["version"] or "") == canonicalize_version(version)
    ]
    if answer["files"] and not files:
        newest = decision_summary.newest_first(answer["files"])
        known = list(dict.fromkeys(str(file["version"]) for file in newest))
        raise PackhorseError(
            _printable(f"No version {version} of {answer['project']} is known on {answer['on']}."),
            _printable(f"The newest that are: {', '.join(known[:FEW])}. Without a version, all are shown."),
        )
    return {**answer, "files": files}


def why_as_text(answer: Mapping[str, Any]) -> str:
    """The files of a project that are listed, and the reasons for which others are not."""
    listed = [file for file in answer["files"] if file["allowed"]]
    groups = decision_summary.denied(answer["files"])
    lines = [_counted(answer, len(listed)), *map(_indented, decision_summary.counts(groups))]
    lines += [f"  {_printable(note)}" for note in answer["notes"]]
    yanked = {str(file["version"]): file["yanked"] for file in listed if "yanked" in file}
    for version, reason in yanked.items():
        words = f": {_printable(reason)}" if isinstance(reason, str) and reason else ""
        lines.append(
            f"  {_printable(version)} is yanked: installers take it only when it is asked for{words}"
        )
    reported: dict[str, list[str]] = {}
    for file in listed:
        if "reported" in file:
            reported.setdefault(file["reported"], []).append(file["filename"])
    for words, names in reported.items():
        lines += ["", f"listed, but reported: {_printable(words)}", *_named(names)]
    for each in groups[: decision_summary.MOST]:
        lines += ["", f"{_where(each.policy_of)}, rule {each.rule}: {_printable(each.reason)}"]
        names = [file["filename"] for file in each.files]
        lines += _named(names, FEW if len(groups) > 1 else decision_summary.MOST)
    return "\n".join(lines)


def _counted(answer: Mapping[str, Any], listed: int) -> str:
    denied = len(answer["files"]) - listed
    newest = decision_summary.newest_listed(answer["files"]) if denied else None
    begin = f"{answer['project']} on {answer['on']}: {listed} files are listed, {denied} are not"
    return f"{begin}; newest listed: {_printable(newest)}" if newest else begin


def log_as_text(lines: Sequence[Mapping[str, Any]]) -> str:
    """The log of decisions, a line for each rule."""
    return "\n".join(text for line in lines for text in _log_lines(line)) or "no decision is logged yet"


def _log_lines(line: Mapping[str, Any]) -> Iterator[str]:
    begin = f"{line['at']}  {line['on']}  {line['project']}: "
    for each in line["denied"]:
        yield _printable(
            f"{begin}{each['count']} denied by {each['rule']}: {each['reason']} ({_files(each)})"
        )
    for each in line.get("reported", ()):
        yield _printable(
            f"{begin}{each['count']} reported by {each['rule']}: {each['reason']} ({_files(each)})"
        )
    if line.get("looks_like"):
        yield _printable(f"{begin}looks like {line['looks_like']}, which is reserved")
    elif not line["denied"] and not line.get("reported"):
        yield _printable(f"{begin}all files are listed again")


def _files(each: Mapping[str, Any]) -> str:
    return ", ".join(each["files"][:3]) + (", …" if each["count"] > 3 else "")


def look_alikes(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Projects that looked like reserved ones, with these."""
    found = {line["project"]: line["looks_like"] for line in lines if line.get("looks_like")}
    return [f"{_printable(project)} looks like {own}" for project, own in sorted(found.items())]


def _named(names: Sequence[str], most: int = decision_summary.MOST) -> Iterator[str]:
    yield from map(_indented, decision_summary.bounded(names, most))


def _indented(text: str) -> str:
    return f"  {_printable(text)}"


def _where(index: str) -> str:
    return f"policy of {index}" if index else "policy of all indexes"


def _printable(text: str) -> str:
    """Upstreams wrote it: no escape may reach the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
