"""Read the request, a JSON object on standard input, and answer errors, also those of the host itself."""

import json
from typing import Any

from packhorse_service.errors import ServiceError


def read(text: bytes) -> dict[str, Any]:
    """The object in `text`; {} for nothing. Raises ServiceError."""
    try:
        request = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise ServiceError("Standard input is no JSON object.", "Use `release services`.")
    return request


def failure(error: OSError) -> ServiceError:
    """The words for an error of the system, such as a full disk."""
    place = f"{error.filename}: " if error.filename else ""
    return ServiceError(f"{place}{error.strerror or error}.", "Look at the host, and run it again.")
