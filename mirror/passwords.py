"""Which passwords are taken, by `mirror user` and by the server, where users change their own."""

SHORTEST = 8  # characters


def problem(password: str) -> str | None:
    """Why a password is not taken; None for one that is."""
    return f"The password has fewer than {SHORTEST} characters." if len(password) < SHORTEST else None
