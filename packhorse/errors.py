"""The base class of expected errors: what happened, and what to do now."""


class PackhorseError(Exception):
    """An expected error, shown to the user in two lines and without a traceback.

    `message` says what happened and names the file, key or URL at fault; `hint` says what to do
    now; `detail` holds lines that help to find the cause (a tool's output, an application's log)
    and is shown above the two. `exit_code` is the exit status of the command, never 0; `summary`, if
    there is one, is a line above them for the log of a job.
    """

    exit_code = 1
    summary = ""

    def __init__(self, message: str, hint: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
