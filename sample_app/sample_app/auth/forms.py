"""Forms of users: sign up, confirm, sign in, profile, API tokens."""

from wtforms import EmailField, PasswordField, StringField
from wtforms.validators import Email, EqualTo, InputRequired, Length

from sample_app.forms import PageForm, printable, tidy

SHORTEST, LONGEST = 10, 200
"""Letters of a password. Length is what makes it strong; NIST SP 800-63B advises against rules on letters."""


def address(text: str | None) -> str:
    """How addresses are kept; a filter."""
    return (text or "").strip().lower()


def known_name() -> StringField:
    """What others see beside one's links."""
    checks = [InputRequired("Enter your name."), Length(max=60), printable]
    return StringField("Your name", checks, [tidy], description="Shown beside the links that you post.")


def new_password(label: str) -> PasswordField:
    """A password that is about to be kept."""
    return PasswordField(
        label,
        [InputRequired("Choose a password."), Length(SHORTEST, LONGEST)],
        description=f"{SHORTEST} characters or more. Several words are easier to remember than signs.",
    )


def known_address() -> EmailField:
    """Who it is."""
    checks = [
        InputRequired("Enter your address."),
        Length(max=254),
        Email("Enter an address such as ann@example.com."),
    ]
    return EmailField("E-mail address", checks, [address])


class SignUp(PageForm):
    """A new account."""

    name = known_name()
    email = known_address()
    password = new_password("Password")


class SignIn(PageForm):
    """Whatever was typed is tried: advice on its form would only help those who guess."""

    email = EmailField(
        "E-mail address", [InputRequired("Enter your address."), Length(max=254), printable], [address]
    )
    password = PasswordField("Password", [InputRequired("Enter your password."), Length(max=LONGEST)])


class Resend(PageForm):
    """The mail once more."""

    email = known_address()


class Confirm(PageForm):
    """Whoever follows the link in the mail knows the password, too."""

    password = PasswordField("Password", [InputRequired("Enter your password."), Length(max=LONGEST)])


class Profile(PageForm):
    """What may be changed without the password."""

    name = known_name()


class Password(PageForm):
    """A change of the password."""

    current = PasswordField("Current password", [InputRequired("Enter your current password.")])
    password = new_password("New password")
    again = PasswordField("New password again", [EqualTo("password", "The two new passwords differ.")])


class NewToken(PageForm):
    """An API token."""

    label = StringField(
        "What is it for?",
        [InputRequired("Say what the token is for."), Length(max=60), printable],
        [tidy],
        description='Such as "nightly import": it helps to know which one to revoke.',
    )
