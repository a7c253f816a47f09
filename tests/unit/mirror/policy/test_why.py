"""`mirror why` waits for what the server finds out, and not for ever."""

from typing import Any

import pytest

from mirror.policy import why

NOT_YET = "the license of demo-1.0.zip is not read yet: ask again in a moment"


class _Api:
    """Reads a license at the question with this number."""

    def __init__(self, done: int) -> None:
        self.asked, self._done = 0, done

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401, ARG002 (as Api has it)
        self.asked += 1
        assert (method, path) == ("GET", "/company/dev/+why/demo")
        file = {"filename": "demo-1.0.zip", "version": "1.0", "allowed": self.asked >= self._done}
        reason = {} if file["allowed"] else {"reason": NOT_YET, "rule": "licenses", "policy_of": ""}
        return {"project": "demo", "on": "company/dev", "notes": [], "files": [file | reason]}

    def accepts(self, user: str, password: str) -> bool:  # noqa: ARG002 (as Api has it)
        return False


@pytest.mark.parametrize(("done", "asked", "allowed"), [(1, 1, True), (3, 3, True), (10**9, 31, False)])
def test_an_answer_that_is_not_the_last_word_is_asked_for_again(
    done: int, asked: int, *, allowed: bool
) -> None:
    """After 15 seconds it is said to be unknown."""
    api, slept = _Api(done), list[float]()
    (file,) = why.ask(api, "company/dev", "demo", None, slept.append)["files"]
    assert (api.asked, sum(slept), file["allowed"]) == (asked, (asked - 1) * why.EVERY, allowed)
