"""A list of what a command changes; in check mode it is said and not done."""

from collections.abc import Callable


class Changes:
    """Record of changes that were made, or with `check` would be made, in order."""

    def __init__(self, *, check: bool = False) -> None:
        self.check = check
        self.done: list[str] = []
        self.restart = ""  # what an administrator has to do, as it stops a server that others use

    def do(self, text: str, action: Callable[[], object]) -> None:
        """Run `action`, which does what `text` says ("makes the database x"); not in check mode."""
        if not self.check:
            action()
        self.done.append(text)
