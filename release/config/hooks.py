"""Settings of [hooks]: commands and a webhook around each deploy and rollback."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from packhorse import settings
from release.config.value_types import (
    Command,
    Positive,
    VariableName,
)


def _webhook_url(text: str) -> str:
    # The text stays out of the message: addresses of webhooks are secrets at times.
    if not re.fullmatch(r"https?://[A-Za-z0-9_.:\[\]-]+(/[!-~]*)?", text) or "#" in text:
        raise ValueError('needs an address without a user, such as "https://chat.example.com/hooks/release"')
    return text


class Webhook(settings.Settings):
    """A server that gets what became of each change, as JSON that is signed with a secret.

    The secret is in the variable `secret_variable`, or in the file `secret_file`, as seen from the project.
    `timeout` is in seconds, for each of up to three tries.
    """

    url: Annotated[str, AfterValidator(_webhook_url)]
    secret_variable: VariableName | None = None
    secret_file: str | None = None
    timeout: Annotated[float, Field(gt=0, le=60)] = 10.0

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if bool(self.secret_variable) == bool(self.secret_file):
            raise ValueError("name the place of its secret: either secret_variable or secret_file")
        return self


class Hooks(settings.Settings):
    """Commands that run where somebody deploys, and a `webhook`: around each deploy and rollback.

    One that fails in `before_deploy` stops the deploy. Each may take `timeout` seconds.
    """

    before_deploy: Command | None = None
    after_deploy: Command | None = None
    on_failure: Command | None = None
    timeout: Positive = 300.0
    webhook: Webhook | None = None
