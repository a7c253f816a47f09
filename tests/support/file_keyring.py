"""A keyring in the file $FILE_KEYRING; PYTHON_KEYRING_BACKEND names it to twine and to `release login`."""

import json
import os
import shutil
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


def environment(folder: Path) -> dict[str, str]:
    """The variables that lead to this keyring, whose file is made in `folder`.

    PYTHONPATH does not lead to the checkout: Packhorse would be taken for one that is installed from there.
    """
    (folder / "keyring").mkdir()
    shutil.copy(__file__, folder / "keyring")
    return {
        "FILE_KEYRING": str(folder / "kept.json"),
        "PYTHONPATH": str(folder / "keyring"),
        "PYTHON_KEYRING_BACKEND": "file_keyring.Keyring",
    }
