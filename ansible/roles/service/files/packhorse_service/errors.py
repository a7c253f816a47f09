"""The expected error: what happened, and what to do now."""


class ServiceError(Exception):
    """An expected error; who called gets `message` and `hint` as JSON, and the exit status 1."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
