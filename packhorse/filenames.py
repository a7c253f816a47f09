"""Names of wheels and sdists (PEP 427, PEP 625): the project and the version that they tell."""

from typing import NamedTuple

from packaging.tags import Tag
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version


class Distribution(NamedTuple):
    """The project and the version of a file; the tags of a wheel, none of an sdist."""

    project: NormalizedName
    version: Version
    tags: frozenset[Tag]


def parse(filename: str) -> Distribution | None:
    """The parts of a name; None for a file that is neither wheel nor sdist."""
    try:
        if filename.endswith(".whl"):
            project, version, _, tags = parse_wheel_filename(filename)
            return Distribution(project, version, tags)
        return Distribution(*parse_sdist_filename(filename), frozenset())
    except (InvalidSdistFilename, InvalidWheelFilename, InvalidVersion):
        return None
