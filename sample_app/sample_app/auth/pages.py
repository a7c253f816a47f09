"""Pages of users: sign up, confirm, sign in and out, profile, API tokens."""

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask_login import current_user, fresh_login_required, login_required, login_user, logout_user
from sqlalchemy import select
from werkzeug import Response

from sample_app.auth import accounts, confirmation, forms
from sample_app.extensions import client_network, db, limiter
from sample_app.forms import safe_next
from sample_app.models import Token, User

blueprint = Blueprint("auth", __name__, url_prefix="/auth")
MOST_TOKENS = 20

# The message, the time and the next page are the same for addresses that are known and for those that aren't.
WRONG = "The address or the password is wrong, or the address isn't confirmed yet."


def typed_address() -> str:
    """The account that a form is about, for its rate limit."""
    return f"account:{forms.address(request.form.get('email'))[:254]}"


def typed_address_here() -> str:
    """The same for one network: ten requests from elsewhere must not keep the owner of the account out."""
    return f"{typed_address()} {client_network()}"


def confirmed_account() -> str:
    """The account that a link in a mail is about, for its rate limit: base64 spells a token in many ways."""
    user = confirmation.user_of(request.args.get("token", ""))
    return f"confirm:{user.id if user else ''}"


by_network = limiter.shared_limit("20 per minute; 100 per hour", "accounts", methods=["POST"])
by_mailbox = limiter.shared_limit("10 per 15 minutes", "mailbox", key_func=typed_address, methods=["POST"])
by_account_here = limiter.limit("10 per 15 minutes", key_func=typed_address_here, methods=["POST"])
by_account = limiter.limit("100 per hour", key_func=typed_address, methods=["POST"])
by_link = limiter.limit("10 per 15 minutes", key_func=confirmed_account, methods=["POST"])


@blueprint.route("/sign-up", methods=["GET", "POST"])
@by_network
@by_mailbox
def sign_up() -> str | Response:
    """A new account, and a mail to confirm its address."""
    form = forms.SignUp()
    if form.validate_on_submit():
        accounts.sign_up(name=form.name.data, email=form.email.data, password=form.password.data)
        return redirect(url_for("auth.sent"))
    return render_template("auth/sign_up.html", form=form)


@blueprint.get("/sent")
def sent() -> str:
    """Where to look for the mail."""
    return render_template("auth/sent.html")


@blueprint.route("/resend", methods=["GET", "POST"])
@by_network
@by_mailbox
def resend() -> str | Response:
    """The mail once more."""
    form = forms.Resend()
    if form.validate_on_submit():
        accounts.send_again(form.email.data)
        return redirect(url_for("auth.sent"))
    return render_template("auth/resend.html", form=form)


@blueprint.route("/confirm", methods=["GET", "POST"])
@by_network
@by_link
def confirm() -> str | Response | tuple[str, int]:
    """Where the link in the mail leads.

    It asks for the password: the link alone proves the mailbox, not that its owner chose the password;
    and programs that look at links in mails confirm nothing. The token is in the query, which logs leave out.
    """
    user = confirmation.user_of(request.args.get("token", ""))
    if user is None:
        return render_template("auth/confirm_old.html"), 404
    if user.confirmed_at:
        flash("Your address is confirmed. Sign in.", "success")
        return redirect(url_for("auth.sign_in"))
    form = forms.Confirm()
    if form.validate_on_submit():
        if user.has_password(form.password.data) and accounts.confirm(user):
            begin_session(user)
            flash(f"Welcome, {user.name}. Your address is confirmed: post your first link.", "success")
            return redirect(url_for("main.links"))
        form.password.errors = [
            "That isn't the password that you chose. Forgotten? Sign up again with a new one."
        ]
    return render_template("auth/confirm.html", form=form, email=user.email)


@blueprint.route("/sign-in", methods=["GET", "POST"])
@by_network
@by_account_here
@by_account
def sign_in() -> str | Response | tuple[str, int]:
    """Begin a session."""
    form = forms.SignIn()
    if form.validate_on_submit():
        user = accounts.check(form.email.data, form.password.data)
        if user:
            begin_session(user)
            return redirect(safe_next())
        form.form_errors.append(WRONG)
        return render_template("auth/sign_in.html", form=form), 422
    return render_template("auth/sign_in.html", form=form)


def begin_session(user: User) -> None:
    """Sign `user` in with a session that has nothing of the one before."""
    session.clear()
    session.permanent = True
    login_user(user)


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """End the session in this browser; a copy of its cookie works until the password changes."""
    logout_user()
    session.clear()
    flash("You are signed out.", "success")
    return redirect(url_for("main.links"))


@blueprint.route("/profile", methods=["GET", "POST"])
@login_required  # type: ignore[untyped-decorator]
def profile() -> str | Response:
    """One's name, and the ways to the rest."""
    form = forms.Profile(obj=current_user)
    if form.validate_on_submit():
        current_user.name = form.name.data
        db.session.commit()
        flash("Your name is changed.", "success")
        return redirect(url_for("auth.profile"))
    return render_template("auth/profile.html", form=form)


@blueprint.route("/password", methods=["GET", "POST"])
@by_network
@fresh_login_required  # type: ignore[untyped-decorator]
def password() -> str | Response:
    """A new password, which ends all other sessions."""
    form = forms.Password()
    if form.validate_on_submit():
        if current_user.has_password(form.current.data):
            user = db.session.get_one(User, current_user.id)
            user.set_password(form.password.data)
            db.session.commit()
            begin_session(user)
            flash("Your password is changed. All other sessions are signed out.", "success")
            if db.session.scalar(select(Token.id).where(Token.user_id == user.id).limit(1)):
                flash("Your API tokens still work: revoke those that others may know.")
                return redirect(url_for("auth.tokens"))
            return redirect(url_for("auth.profile"))
        form.current.errors = ["That is not your current password."]
    return render_template("auth/password.html", form=form)


@blueprint.route("/tokens", methods=["GET", "POST"])
@fresh_login_required  # type: ignore[untyped-decorator]
def tokens() -> str:
    """One's API tokens. A new one is shown in the answer to the form, and never again."""
    form, secret = forms.NewToken(), ""
    mine = list(db.session.scalars(select(Token).where(Token.user_id == current_user.id).order_by(Token.id)))
    if form.validate_on_submit():
        if len(mine) < MOST_TOKENS:
            made, secret = Token.make(db.session.get_one(User, current_user.id), form.label.data)
            db.session.add(made)
            db.session.commit()
            mine.append(made)
            form = forms.NewToken(formdata=None)
        else:
            form.form_errors.append(f"You have {MOST_TOKENS} tokens. Revoke one that you don't need.")
    return render_template("auth/tokens.html", form=form, tokens=mine, secret=secret)


@blueprint.post("/tokens/<int:number>/revoke")
@fresh_login_required  # type: ignore[untyped-decorator]
def revoke(number: int) -> Response:
    """End what a token may do."""
    token = db.session.get(Token, number) if number < 2**31 else None
    if token is None or token.user_id != current_user.id:
        abort(404)
    db.session.delete(token)
    db.session.commit()
    flash(f"The token “{token.name}” is revoked.", "success")
    return redirect(url_for("auth.tokens"))
