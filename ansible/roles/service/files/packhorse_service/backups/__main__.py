"""packhorse-service-backup COMMAND: a line of JSON on stdin, one on stdout; export, import: bytes, too.

`run DATABASE` is what a timer starts, `shell DATABASE` the server's own client.
"""

import json
import sys

from packhorse_service import requests
from packhorse_service.backups import commands
from packhorse_service.errors import ServiceError

LONGEST_REQUEST = 65_536  # bytes


def main(arguments: list[str]) -> int:
    """Run one command; the exit status is 1 with {"error", "hint"} as the answer."""
    try:
        match arguments:
            case ["run", name]:
                commands.run(name)
            case ["shell", name]:
                return commands.shell(name)
            case [name] if name in commands.COMMANDS:
                request = requests.read(sys.stdin.buffer.readline(LONGEST_REQUEST))
                answer = commands.COMMANDS[name](request)
                if answer is not None:
                    sys.stdout.write(json.dumps(answer) + "\n")
            case _:
                names = "|".join(commands.COMMANDS)
                sys.stderr.write(f"packhorse-service-backup {names} < request.json | run NAME | shell NAME\n")
                return 2
    except (ServiceError, OSError) as found:
        error = requests.failure(found) if isinstance(found, OSError) else found
        if arguments[0] in ("run", "shell", "export"):
            sys.stderr.write(f"{error.message}\n{error.hint}\n")
        else:
            sys.stdout.write(json.dumps({"error": error.message, "hint": error.hint}) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
