"""packhorse-service COMMAND: a JSON object on standard input, and one on standard output."""

import json
import sys
from typing import Any

from packhorse_service import commands
from packhorse_service.errors import ServiceError

LONGEST_REQUEST = 1_000_000  # bytes


def main(arguments: list[str]) -> int:
    """Run one command; the exit status is 1 with {"error", "hint"} as the answer."""
    if len(arguments) != 1 or arguments[0] not in commands.COMMANDS:
        sys.stderr.write(f"packhorse-service {'|'.join(commands.COMMANDS)} < request.json\n")
        return 2
    try:
        answer = commands.COMMANDS[arguments[0]](_request(sys.stdin.buffer.read(LONGEST_REQUEST)))
    except ServiceError as error:
        answer = {"error": error.message, "hint": error.hint}
    except OSError as error:  # a full disk, for one
        answer = {
            "error": f"{error.filename}: {error.strerror}.",
            "hint": "Look at the host, and run it again.",
        }
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1 if "error" in answer else 0


def _request(text: bytes) -> dict[str, Any]:
    try:
        request = json.loads(text or b"{}")
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise ServiceError("Standard input is no JSON object.", "Use `release services`.")
    return request


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
