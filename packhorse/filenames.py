"""Names of wheels and sdists (PEP 427, PEP 625): the project and the version that they tell."""

import math
from typing import NamedTuple

from packaging.tags import Tag
from packaging.utils import NormalizedName, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version


class Distribution(NamedTuple):
    """The project and the version of a file; the tags of a wheel, none of an sdist."""

    project: NormalizedName
    version: Version
    tags: frozenset[Tag]


MOST_TAGS = 2000  # of a wheel: 200 characters of a name can mean tens of thousands, which take 0.3 s to make


def parse(filename: str) -> Distribution | None:
    """The parts of a name; None for a file that is neither wheel nor sdist."""
    try:
        if filename.endswith(".whl"):
            if math.prod(part.count(".") + 1 for part in filename[:-4].split("-")[-3:]) > MOST_TAGS:
                return None
            project, version, _, tags = parse_wheel_filename(filename)
            return Distribution(project, version, tags)
        return Distribution(*parse_sdist_filename(filename), frozenset())
    except ValueError:  # of packaging, or of a number with more digits than Python reads
        return None
