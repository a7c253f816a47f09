"""A keyring in the file $FILE_KEYRING; PYTHON_KEYRING_BACKEND names it to twine and to `release login`."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class Keyring(KeyringBackend):
    """Keeps passwords in the clear, one JSON object."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return self._passwords().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._passwords(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        left = self._passwords()
        del left[f"{service} {username}"]
        self._write(left)

    def _passwords(self) -> dict[str, str]:
        file = Path(os.environ["FILE_KEYRING"])
        return dict(json.loads(file.read_bytes())) if file.exists() else {}

    def _write(self, passwords: dict[str, str]) -> None:
        Path(os.environ["FILE_KEYRING"]).write_text(json.dumps(passwords))


def environment(file: Path) -> dict[str, str]:
    """The variables that lead to this keyring."""
    return {
        "FILE_KEYRING": str(file),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHON_KEYRING_BACKEND": "tests.support.file_keyring.Keyring",
    }
