from __future__ import annotations

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time

from isthmus.identity import second_factor
from isthmus.identity.models import User

SECRET = "JBSWY3DPEHPK3PXP"
PASSWORD = "correct horse battery"


def sign_in(client, username, password=PASSWORD):
    return client.post("/accounts/login/", {"login": username, "password": password})


def code():
    return format_hotp_value(hotp_value(SECRET, next(iter(yield_hotp_counters_from_time()))))


def test_the_right_password_opens_the_console(desk):
    client = desk.client()
    assert sign_in(client, "agent")["Location"] == "/"
    assert client.get("/incidents").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/incidents").status_code == 302


def test_a_wrong_password_opens_nothing_and_does_not_say_who_exists(desk):
    wrong, unknown = (
        sign_in(desk.client(), "agent", "wrong"),
        sign_in(desk.client(), "nobody-at-all", "wrong"),
    )
    assert wrong.status_code == unknown.status_code == 200
    assert b"agent is" not in wrong.content
    assert ("errorlist" in wrong.content.decode()) == ("errorlist" in unknown.content.decode())


def test_guessing_is_stopped(desk):
    client = desk.client()
    for _ in range(6):
        sign_in(client, "viewer", "wrong")
    assert "Location" not in sign_in(client, "viewer")


def test_nobody_signs_up_by_themselves(desk):
    client = desk.client()
    client.post("/accounts/signup/", {"username": "eve", "password1": PASSWORD, "password2": PASSWORD})
    assert not User.objects.filter(username="eve").exists()


def test_an_administrator_shows_the_code_of_their_app(desk):
    second_factor.set_up(User.objects.get(username="administrator"), SECRET)
    client = desk.client()
    first = sign_in(client, "administrator")
    assert first["Location"].startswith("/accounts/2fa/authenticate/")
    assert client.get("/people").status_code == 302
    client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert client.get("/people").status_code == 302
    client.post("/accounts/2fa/authenticate/", {"code": code()})
    assert client.get("/people").status_code == 200


def test_an_app_is_set_up_after_the_password_was_given_once_more(desk):
    client = desk.client()
    sign_in(client, "administrator")
    assert client.get("/accounts/2fa/totp/activate/")["Location"].startswith("/accounts/reauthenticate/")
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    answer = client.get("/accounts/2fa/totp/activate/")
    assert answer.status_code == 200
    assert b"data:image/svg+xml" in answer.content
