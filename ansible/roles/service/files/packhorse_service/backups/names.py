"""Names of what stands beside a database while a restore takes its place, and after it."""


class Names:
    """`restored`, what a restore fills, and `old`, what the last one has replaced, of a `database`."""

    database: str

    @property
    def restored(self) -> str:
        """Name of what a restore fills before it takes the place of the database."""
        return f"{self.database}__n"

    @property
    def old(self) -> str:
        """Name of what the last restore has replaced."""
        return f"{self.database}__o"
