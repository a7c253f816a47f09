"""Names that look like one of ours: a typing error, swapped words or another separator away."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from mirror.plugin.policy.evaluation import Fact, Judge, Refusal
from mirror.plugin.policy.facts import ProjectFacts

SHORTEST = 4  # letters of a name that has look-alikes: of three letters, half the index would be one


class LookAlikes:
    """Upstream projects whose names look like a reserved one are denied."""

    name, judges_uploads = "look_alikes", False
    decides_by: tuple[Fact, ...] = ("reserved names",)

    def about(self, project: ProjectFacts, now: float) -> Judge | None:  # noqa: ARG002 (as PolicyRule has it)
        own = of(project.name, project.reserved)
        if own is None:
            return None
        refusal = Refusal(
            f"{project.name} looks like {own}, a name of your own: check the spelling, or ask to allow it"
        )
        return lambda _: refusal

    def describe(self) -> str:
        return "upstream projects whose names look like a reserved one are not listed"


def of(name: str, own: frozenset[str]) -> str | None:
    """The first of our own names that `name` looks like, None without one; all are normalised."""
    if not own or name in own:
        return None
    known = _variants(own)
    candidates = {each for variant in _forms(name) for each in known.get(variant, ())}
    return min((each for each in candidates if _is_like(name, each)), default=None)


@lru_cache(maxsize=4)
def _variants(own: frozenset[str]) -> Mapping[str, list[str]]:
    """Keys that our names share with their look-alikes -> our names."""
    found: dict[str, list[str]] = {}
    for name in own:
        if len(_letters(name)) >= SHORTEST and not set("*?[") & set(name):
            for form in _forms(name):
                found.setdefault(form, []).append(name)
    return found


def _forms(name: str) -> set[str]:
    """Of two names one edit apart, a letter left out makes the same text (Mor, Fraenkel 1982)."""
    return {name, _letters(name), _words(name), *_shortened(name)}


def _shortened(name: str) -> Iterator[str]:
    return (name[:at] + name[at + 1 :] for at in range(len(name)))


def _letters(name: str) -> str:
    return name.replace("-", "")


def _words(name: str) -> str:
    return " ".join(sorted(name.split("-")))


def _is_like(name: str, own: str) -> bool:
    same = _letters(name) == _letters(own) or _words(name) == _words(own)
    return same or _is_one_edit(name, own)


def _is_one_edit(one: str, other: str) -> bool:
    """Whether a letter was added, left out, replaced, or swapped with the next one."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    if len(short) < len(long):
        return short in _shortened(long)
    wrong = [at for at, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]]
    if len(wrong) == 2:
        first, second = wrong
        return second == first + 1 and one[first] == other[second] and one[second] == other[first]
    return len(wrong) == 1
