"""Files that policies of the index withhold: which of them may be why uv found no solution."""

import http.client
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from packhorse.errors import PackhorseError
from release.config import company_index
from release.context import Context
from release.index import JSON

MOST = 12  # projects about which the index is asked
_NAME = r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)"
# What uv says of a project of which the index does not list enough, and of those that it names besides.
_LACKING = re.compile(
    rf"(?:no versions? of|following versions of|[Oo]nly|Wheels are required for)\s+`?(?!the\b){_NAME}"
    rf"|{_NAME}\S* (?:has|have) no\b|{_NAME} was not found"
)
_NAMED = re.compile(rf"(?:depends? on|require|versions of)\s+{_NAME}|{_NAME}(?:\[[^]]*\])?[=<>~!]")


@dataclass(frozen=True)
class Withheld:
    """Numbers of a project's files, and of those that an index withholds, some of them by the rule `rule`."""

    project: str
    rule: str
    denied: int
    files: int
    wheels: bool  # whether a wheel is among the denied

    def sentence(self, index: str) -> str:
        """In words, for people."""
        begin = f"{self.project} is withheld by the rule {self.rule} on {index}"
        return f"{begin}: {self.denied} of {self.files} files."


@dataclass(frozen=True)
class Cause:
    """Withheld files of the projects of which uv misses some, and `besides` of others that it names."""

    lacking: Sequence[Withheld] = ()
    besides: Sequence[Withheld] = ()

    def notes(self, context: Context) -> str:
        """A line for each."""
        found = (*self.lacking, *self.besides)
        return "\n".join(each.sentence(context.index_url) for each in found)


def cause(output: str, dependencies: Sequence[str], context: Context) -> Cause:
    """Files withheld of the projects in uv's explanation `output` and of the direct `dependencies`.

    The index is asked about a few; one that does not answer, or is not of Packhorse, withholds nothing.
    """
    lacking = _names(_LACKING, output)
    direct = [name[1] for line in dependencies if (name := re.match(_NAME, line.strip()))]
    named = [*_names(_NAMED, output), *map(canonicalize_name, direct)]
    asked = list(dict.fromkeys([*lacking, *named]))[:MOST]
    try:
        found = [each for name in asked if (each := _withheld(name, context))]
    except (OSError, http.client.HTTPException, PackhorseError):
        return Cause()
    blamed = [
        each for each in found if each.project in lacking and (each.wheels or each.project in context.sdists)
    ]
    return Cause(
        sorted(blamed, key=lambda each: each.denied < each.files),
        [each for each in found if each not in blamed],
    )


def error(found: Cause, context: Context, detail: str) -> PackhorseError:
    """The error that names the first of the projects of which uv misses files."""
    first, *others = found.lacking
    more = Cause(others, found.besides).notes(context)
    return PackhorseError(
        first.sentence(context.index_url),
        f"Look: {context.index_url}/+why/{first.project}, or `mirror why {first.project}` on the mirror; "
        "take another version, or let who owns mirror.toml allow it.",
        detail=f"{detail}\n{more}".strip(),
    )


def _names(pattern: re.Pattern[str], output: str) -> list[str]:
    found = (next(filter(None, match.groups())) for match in pattern.finditer(output))
    return list(dict.fromkeys(map(canonicalize_name, found)))


def _withheld(project: str, context: Context) -> Withheld | None:
    """Asks the page first, as an index that is not of Packhorse has no `+why`."""
    page = context.get(f"{company_index.simple_url(context.index_url)}{project}/", JSON)
    if page.status != 200 or not _withheld_count(page.body):
        return None
    answer = context.get(f"{context.index_url}/+why/{project}", "application/json")
    return _decided(project, answer.body) if answer.status == 200 else None


def _withheld_count(body: bytes) -> int:
    try:
        return int(json.loads(body)["meta"]["_withheld"])
    except (ValueError, LookupError, TypeError):
        return 0


def _decided(project: str, body: bytes) -> Withheld | None:
    try:
        files = json.loads(body)["result"]["files"]
        denied = [file for file in files if file["allowed"] is False]
        wheels = any(str(file["filename"]).endswith(".whl") for file in denied)
        rules = list(dict.fromkeys(_printable(str(file["rule"])) for file in denied))
    except (ValueError, LookupError, TypeError):
        return None
    return Withheld(project, rules[0], len(denied), len(files), wheels) if denied else None


def _printable(text: str) -> str:
    """The index wrote it: no escape may reach the terminal, and no page of text."""
    return "".join(character if character.isprintable() else "?" for character in text[:40])
