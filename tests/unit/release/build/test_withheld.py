"""A dependency that a policy of the index hides is named, not what uv concludes from its absence."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from packhorse.process import Finished
from release.build import lock, withheld
from release.build.source_tree import LockInputs
from release.context import Context
from release.index import JSON, Response
from tests.support.fakes import INDEX, FakeRunner, a_context

# uv 0.13.8 about httpx, whose first release had no wheel, with an index that withholds idna.
HIDDEN = """error: No solution found when resolving dependencies
  cause: Because httpx==0.0.1 has no usable wheels and only the following versions of httpx are available:
             httpx==0.0.1
             httpx>=0.27
         we can conclude that httpx<0.27 cannot be used. (1)

         Because there are no versions of idna and httpx>=0.27 depends on idna, we can conclude that ...

hint: Wheels are required for `httpx` because building from source is disabled for all packages
"""
# The same of one that withholds the newer versions of idna.
OLD_ONLY = """error: No solution found when resolving dependencies
  cause: Because only idna==2.0 is available and all versions of httpx depend on idna>=3, we can ...
"""


class Index:
    """An index of Packhorse that withholds files: name of a project -> (denied, listed)."""

    def __init__(self, **withheld: tuple[list[str], list[str]]) -> None:
        self.withheld, self.rule = withheld, "licenses"
        self.asked: list[str] = []

    def __call__(self, url: str, accept: str) -> Response:
        self.asked.append(url)
        denied, listed = self.withheld.get(url.rstrip("/").rpartition("/")[2], ([], ["x-1-py3-none-any.whl"]))
        if "/+why/" in url:
            assert accept == "application/json"
            files = [{"filename": name, "allowed": False, "rule": self.rule} for name in denied]
            files += [{"filename": name, "allowed": True} for name in listed]
            return Response(url, 200, body=json.dumps({"result": {"files": files}}).encode())
        page = {"meta": {"_withheld": len(denied)} if denied else {}, "files": listed}
        return Response(url, 200, "OK", JSON, json.dumps(page).encode())


def failing(tmp_path: Path, index: Index, said: str = HIDDEN) -> Context:
    return replace(a_context(tmp_path, run=FakeRunner(lambda _: Finished(1, "", said))), get=index)


def refused(context: Context, *dependencies: str) -> PackhorseError:
    with pytest.raises(PackhorseError) as caught:
        lock.resolve(LockInputs(dependencies or ("httpx",), ">=3.11"), None, context)
    return caught.value


IDNA = (["idna-2-py3-none-any.whl", "idna-3-py3-none-any.whl"], ["idna-1.tar.gz"])


def test_a_withheld_dependency_is_named_with_the_place_that_says_why(tmp_path: Path) -> None:
    """`sdists = ["httpx"]` would have led nowhere: idna is what is missing."""
    error = refused(failing(tmp_path, Index(idna=IDNA)))
    assert error.message == f"idna is withheld by the rule licenses on {INDEX}: 2 of 3 files."
    assert error.hint == (
        f"Look: {INDEX}/+why/idna, or `mirror why idna` on the mirror; take another version, "
        "or let who owns mirror.toml allow it."
    )
    assert "there are no versions of idna" in error.detail


def test_versions_that_are_withheld_are_named_when_an_old_one_is_left(tmp_path: Path) -> None:
    """uv says only which it sees."""
    assert refused(failing(tmp_path, Index(idna=IDNA), OLD_ONLY)).message.startswith("idna is withheld")


def test_the_project_of_which_nothing_is_left_goes_first(tmp_path: Path) -> None:
    """The others are named above."""
    index = Index(httpx=(["httpx-1-py3-none-any.whl"], ["httpx-0.27.whl"]), idna=(["idna-2.whl"], []))
    error = refused(failing(tmp_path, index))
    assert error.message.startswith("idna is withheld")
    assert f"httpx is withheld by the rule licenses on {INDEX}: 1 of 2 files." in error.detail


@pytest.mark.parametrize(
    ("said", "message"),
    [(HIDDEN, "There is no wheel of httpx"), ("Because flask==9 was", "The dependencies cannot be locked")],
)
def test_nothing_withheld_changes_no_error(said: str, message: str, tmp_path: Path) -> None:
    """The causes that were right before stay."""
    error = refused(failing(tmp_path, Index(), said))
    assert error.message.startswith(message)
    assert error.detail == said.strip()


def test_what_is_withheld_of_a_project_that_uv_does_not_miss_is_a_note(tmp_path: Path) -> None:
    """A minimum age withholds something of everything: a version that does not exist is another cause."""
    said = "Because there is no version of demo==9 and you require demo==9, ..."
    error = refused(
        failing(tmp_path, Index(flask=(["flask-4.whl"], ["flask-3.whl"])), said), "flask", "demo==9"
    )
    assert error.message.startswith("The dependencies cannot be locked")
    assert error.detail.endswith(f"flask is withheld by the rule licenses on {INDEX}: 1 of 2 files.")


def test_a_withheld_sdist_is_no_cause_where_wheels_alone_count(tmp_path: Path) -> None:
    """httpx has no wheel at all here, denied or not."""
    index = Index(httpx=(["httpx-1.tar.gz"], ["httpx-0.0.1.tar.gz"]))
    assert refused(failing(tmp_path, index)).message.startswith("There is no wheel of httpx")
    index.withheld["idna"] = (["idna-1.tar.gz"], [])
    context = replace(failing(tmp_path, index), sdists=["idna"])
    assert refused(context).message.startswith("idna is withheld")


def test_the_index_is_asked_a_few_times_and_its_words_do_not_steer_the_terminal(tmp_path: Path) -> None:
    """It may be anybody's."""
    index = Index(idna=IDNA)
    index.rule = "\x1b[2J" + "x" * 5000
    error = refused(failing(tmp_path, index), *(f"demo-{number}>=1" for number in range(100)))
    assert len(index.asked) <= withheld.MOST + 1
    assert "?[2Jxxx" in error.message
    assert "\x1b" not in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize("body", [b"", b"[]", b'{"result": {"files": [{}]}}', b'{"meta": {"_withheld": 1}}'])
def test_an_index_that_answers_otherwise_changes_no_error(body: bytes, tmp_path: Path) -> None:
    """It was asked to explain an error: it must not become another."""

    def answer(url: str, _: str) -> Response:
        return Response(url, 200, "OK", JSON, body)

    context = replace(failing(tmp_path, Index()), get=answer)
    assert refused(context).message.startswith("There is no wheel of httpx")

    def unreachable(_: str, __: str) -> Response:
        raise OSError

    assert refused(replace(context, get=unreachable)).message.startswith("There is no wheel of httpx")
