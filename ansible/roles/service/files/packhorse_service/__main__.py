"""packhorse-service COMMAND: a JSON object on standard input, and one on standard output."""

import json
import sys

from packhorse_service import commands, requests
from packhorse_service.errors import ServiceError

LONGEST_REQUEST = 1_000_000  # bytes


def main(arguments: list[str]) -> int:
    """Run one command; the exit status is 1 with {"error", "hint"} as the answer."""
    if len(arguments) != 1 or arguments[0] not in commands.COMMANDS:
        sys.stderr.write(f"packhorse-service {'|'.join(commands.COMMANDS)} < request.json\n")
        return 2
    try:
        answer = commands.COMMANDS[arguments[0]](requests.read(sys.stdin.buffer.read(LONGEST_REQUEST)))
    except (ServiceError, OSError) as found:
        error = requests.failure(found) if isinstance(found, OSError) else found
        answer = {"error": error.message, "hint": error.hint}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
