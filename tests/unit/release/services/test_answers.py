"""The promises of release.services.answers: what a host may say."""

import pytest

from packhorse.errors import PackhorseError
from release.services import answers

PLACE = "shop_production_db__a:Ab-_9@10.0.0.5:5432"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://{PLACE}/shop_production_db?sslmode=require",
        f"mysql://{PLACE}/shop_production_db?ssl_mode=REQUIRED",
        f"mysql://{PLACE}/shop_production_db",
        "redis://shop_production_db:Ab-_9@[fd00::5]:6379/0",
    ],
)
def test_a_url_of_a_database_is_taken(url: str) -> None:
    """Those that packhorse-service makes."""
    assert answers.read(answers.Login, {"url": url, "login": "shop_production_db__a"}, "db1").url == url


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://{PLACE}/shop_production_db?local_infile=1",
        f"mysql://{PLACE}/shop_production_db?read_default_file=/etc/shadow",
        f"postgresql://{PLACE}/shop_production_db?sslmode=disable",
        f"sqlite:///{PLACE}",
        f"postgresql://{PLACE}/a?sslmode=require\nX=1",
        "postgresql:///shop_production_db?host=/tmp",
    ],
)
def test_another_url_of_a_host_reaches_no_application(url: str) -> None:
    """Drivers read local files for options such as local_infile; the URL, a secret, is not in the error."""
    with pytest.raises(PackhorseError) as raised:
        answers.read(answers.Login, {"url": url, "login": "shop_production_db__a"}, "db1")
    assert "Ab-_9" not in f"{raised.value.message} {raised.value.hint} {raised.value.detail}"
