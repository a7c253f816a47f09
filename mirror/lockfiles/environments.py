"""Target environments: a Python on a platform, with its markers (PEP 508) and its wheel tags (PEP 425)."""

import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from packaging import tags
from packaging.markers import InvalidMarker, Marker, default_environment
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from packhorse.errors import PackhorseError

PLATFORMS = (
    *("linux-x86_64", "linux-aarch64", "musl-x86_64", "musl-aarch64"),
    *("macos-arm64", "macos-x86_64", "windows-x86_64", "windows-arm64"),
)
_SYSTEMS = {
    "linux": {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"},
    "macos": {"os_name": "posix", "sys_platform": "darwin", "platform_system": "Darwin"},
    "windows": {"os_name": "nt", "sys_platform": "win32", "platform_system": "Windows"},
}
_PYTHON = re.compile(r"3\.(\d{1,2})(?:\.(\d{1,2}))?(t?)")
_PLATFORM = re.compile(r"(linux|musl|macos|windows)-(x86_64|aarch64|arm64|armv7l|ppc64le|s390x|riscv64|x86)")
_TAG = re.compile(r"(manylinux|musllinux|macosx)_(\d{1,2})_(\d{1,3})_(\w{2,16})|win_amd64|win_arm64|win32")
_ARCHITECTURES = {"win_amd64": "x86_64", "win_arm64": "arm64", "win32": "x86"}
_OLDEST = {"linux": (2, 28), "musl": (1, 2), "macos": (11, 0)}
"""Least versions of C library or system of platforms that state none (Debian 10, RHEL 8)."""
_NEWEST = {"linux": (2, 50), "musl": (1, 5), "macos": (30, 0)}
_LEGACY_MANYLINUX = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
_UV_PLATFORMS = {
    *("x86_64-pc-windows-msvc", "aarch64-pc-windows-msvc", "i686-pc-windows-msvc"),
    *("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"),
    *("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"),
    *("x86_64-apple-darwin", "aarch64-apple-darwin"),
}
_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']+)["']|["']([^"']+)["']\s*==\s*extra\b""")


@dataclass(frozen=True, eq=False)
class Environment:
    """A Python on a platform. Where only a part of its versions is known, it stands for all of them."""

    name: str  # "3.11 on linux-x86_64"
    pythons: tuple[str, ...]  # full versions; what holds for one of them holds
    markers: Mapping[str, str]
    ranks: Mapping[tags.Tag, int]  # of wheel tags, the best first
    levels: Mapping[str, int]  # platform tag -> how new a system it needs; others run on all
    uv_platform: str | None = ""  # as uv's --python-platform has it; "": this machine, None: uv knows none

    def __str__(self) -> str:
        return self.name

    def holds(self, marker: str, extras: Iterable[str] = (), groups: Iterable[str] = ()) -> bool:
        """Whether `marker` holds here, with or without the extras and groups. Raises InvalidMarker."""
        if not marker:
            return True
        parsed = _marker(marker)
        mentioned = {name for found in _EXTRA.findall(marker) for name in found if name}
        chosen = list(_choices(extras, groups)) if "extras" in marker or "groups" in marker else [{}]
        return any(
            _evaluate(parsed, {**self.markers, **_versions(python), "extra": extra, **choice})
            for python in self.pythons
            for extra in ("", *sorted(mentioned))
            for choice in chosen
        )

    def takes_python(self, specifier: str | None) -> bool:
        """Whether Requires-Python allows one of the Pythons; pip and uv ignore one that is no specifier."""
        try:
            wanted = SpecifierSet(specifier or "")
        except InvalidSpecifier:
            return True
        return any(wanted.contains(python, prereleases=True) for python in self.pythons)

    def wheels(self, found: Mapping[str, Iterable[tags.Tag]]) -> list[str]:
        """The names among `found` that an installer may choose here, the best first.

        One for an exactly known platform. Otherwise an older system takes another than a newer one.
        """
        fitting = []
        for name, its in found.items():
            if known := [tag for tag in its if tag in self.ranks]:
                rank = min(self.ranks[tag] for tag in known)
                fitting.append((rank, min(self.levels.get(tag.platform, 0) for tag in known), name))
        chosen: list[str] = []
        lowest = None
        for _, level, name in sorted(fitting):
            if lowest is None or level < lowest:
                chosen.append(name)
                lowest = level
        return chosen


class _Anywhere(Environment):
    """All Pythons on all platforms: every marker holds somewhere."""

    def holds(self, marker: str, extras: Iterable[str] = (), groups: Iterable[str] = ()) -> bool:  # noqa: ARG002
        return True

    def takes_python(self, specifier: str | None) -> bool:  # noqa: ARG002
        return True


def anywhere() -> Environment:
    """An environment that needs everything in a lock, to ask what it may install; not to choose files by."""
    return _Anywhere("anywhere", (), {}, {}, {})


def here() -> Environment:
    """This Python on this machine."""
    markers = {key: str(value) for key, value in default_environment().items()}
    full = markers.pop("python_full_version")
    ranked = {tag: number for number, tag in enumerate(tags.sys_tags())}
    return Environment(f"{full} on this machine", (full,), markers, ranked, {})


def wanted(pythons: Sequence[str] = (), platforms: Sequence[str] = ()) -> tuple[Environment, ...]:
    """Each of `pythons` ("3.12", "3.12.4", "3.13t") on each of `platforms`; without one, what is here.

    Raises PackhorseError for a name that is unknown.
    """
    if not (pythons or platforms):
        return (here(),)
    return tuple(
        _environment(python, name)
        for python in dict.fromkeys(pythons or (platform.python_version(),))
        for name in dict.fromkeys(platforms or ("",))
    )


def _environment(python: str, name: str) -> Environment:
    found = _PYTHON.fullmatch(python)
    if not found:
        raise PackhorseError(
            f"--python {python}: should be a version of CPython.", "Write for example --python 3.12."
        )
    minor, patch, threads = int(found[1]), found[2], found[3]
    # Which of them runs is not known; markers that tell patch releases apart name few of the first.
    full = (f"3.{minor}.{patch}",) if patch else (f"3.{minor}.0", f"3.{minor}.99")
    markers, platforms, levels = _platform(name) if name else _this_platform()
    version, interpreter = (3, minor), f"cp3{minor}"
    names = (
        *tags.cpython_tags(version, [f"{interpreter}{threads}"], platforms),
        *tags.compatible_tags(version, interpreter, platforms),
    )
    ranked = {tag: number for number, tag in reversed(list(enumerate(names)))}
    uv_platform = _uv_platform(markers, platforms) if name else ""
    return Environment(f"{python} on {name or 'this machine'}", full, markers, ranked, levels, uv_platform)


def _this_platform() -> tuple[dict[str, str], list[str], dict[str, int]]:
    here_ = default_environment()
    kept = ("os_name", "sys_platform", "platform_system", "platform_machine", "platform_release")
    markers = {key: str(here_[key]) for key in (*kept, "platform_version")}  # type: ignore[literal-required]
    return _implementation(markers), list(tags.platform_tags()), {}


def _platform(name: str) -> tuple[dict[str, str], list[str], dict[str, int]]:
    """Markers, platform tags from the best on, and their levels, of a name or a wheel's platform tag."""
    if named := _PLATFORM.fullmatch(name):
        kind, architecture = named[1], named[2]
        newest = _NEWEST.get(kind, (0, 0))
    elif tag := _TAG.fullmatch(name):
        kinds = {"manylinux": "linux", "musllinux": "musl", "macosx": "macos", None: "windows"}
        kind, architecture = kinds[tag[1]], tag[4] or _ARCHITECTURES[name]
        newest = (int(tag[2]), int(tag[3])) if tag[2] else (0, 0)
    else:
        raise PackhorseError(
            f"--platform {name}: no such platform.",
            f"Name one of {', '.join(PLATFORMS)}, or the newest platform tag of wheels that it takes, such as"
            " manylinux_2_28_x86_64.",
        )
    architecture = _spelling(kind, architecture)
    platforms = list(_platform_tags(kind, architecture, newest))
    floor = _OLDEST.get(kind) if named else newest
    levels = {} if kind == "windows" else {text: _level(text, floor or newest) for text in platforms}
    system = _SYSTEMS["linux" if kind == "musl" else kind]
    machine = {"x86_64": "AMD64", "arm64": "ARM64"}.get(architecture, architecture)
    markers = {**system, "platform_machine": machine if kind == "windows" else architecture}
    return _implementation({**markers, "platform_release": "99", "platform_version": "99"}), platforms, levels


def _spelling(kind: str, architecture: str) -> str:
    """ARM's name on this system: aarch64 on Linux, arm64 elsewhere."""
    if architecture not in {"aarch64", "arm64"}:
        return architecture
    return "aarch64" if kind in {"linux", "musl"} else "arm64"


def _platform_tags(kind: str, architecture: str, newest: tuple[int, int]) -> Iterator[str]:
    major, minor = newest
    if kind == "windows":
        yield {"x86_64": "win_amd64", "arm64": "win_arm64"}.get(architecture, "win32")
    elif kind == "macos":
        yield from tags.mac_platforms(newest, architecture)
    elif kind == "musl":
        yield from (f"musllinux_{major}_{number}_{architecture}" for number in range(minor, -1, -1))
        yield f"linux_{architecture}"
    else:
        for number in range(minor, 4, -1):
            yield f"manylinux_{major}_{number}_{architecture}"
            if alias := _LEGACY_MANYLINUX.get((major, number)):
                yield f"{alias}_{architecture}"
        yield f"linux_{architecture}"


def _level(text: str, oldest: tuple[int, int]) -> int:
    """Rank of the system that a platform tag asks for; 0 for those that run on the oldest."""
    found = re.match(r"[a-z]+_(\d+)_(\d+)_", text)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    return 0 if version <= oldest else version[0] * 1000 + version[1]


def _uv_platform(markers: Mapping[str, str], platforms: Sequence[str]) -> str | None:
    """The name of uv's for a platform, None for a processor that uv does not resolve for."""
    processor = {"AMD64": "x86_64", "ARM64": "aarch64", "arm64": "aarch64", "x86": "i686"}
    machine = processor.get(markers["platform_machine"], markers["platform_machine"])
    system = {"win32": "pc-windows-msvc", "darwin": "apple-darwin"}.get(
        markers["sys_platform"],
        "unknown-linux-musl" if platforms[0].startswith("musl") else "unknown-linux-gnu",
    )
    return f"{machine}-{system}" if f"{machine}-{system}" in _UV_PLATFORMS else None


def _implementation(markers: dict[str, str]) -> dict[str, str]:
    return {**markers, "implementation_name": "cpython", "platform_python_implementation": "CPython"}


def _versions(python: str) -> dict[str, str]:
    short = ".".join(python.split(".")[:2])
    return {"python_version": short, "python_full_version": python, "implementation_version": python}


def _choices(extras: Iterable[str], groups: Iterable[str]) -> Iterator[dict[str, Any]]:
    """None, all, and each of the extras and groups of a pylock.toml."""
    every, each = frozenset(extras), frozenset(groups)
    yield {"extras": frozenset(), "dependency_groups": frozenset()}
    yield {"extras": every, "dependency_groups": each}
    yield from ({"extras": {name}, "dependency_groups": frozenset()} for name in every)
    yield from ({"extras": frozenset(), "dependency_groups": {name}} for name in each)


@cache
def _marker(text: str) -> Marker:
    try:
        return Marker(text)
    except RecursionError as error:
        raise InvalidMarker("it is nested too deeply") from error


def _evaluate(marker: Marker, environment: dict[str, Any]) -> bool:
    """Whether it holds; what nobody can say here (a kernel's release) is taken to hold."""
    try:
        return marker.evaluate(environment, context="lock_file" if "extras" in environment else "metadata")
    except (ValueError, KeyError, RecursionError):
        return True
