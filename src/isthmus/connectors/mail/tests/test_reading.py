"""What a mail must say, who may write, and that nothing is guessed: each rule with its negative twin."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.completing import Completable
from isthmus.connectors.kit.conformance.world import NOW
from isthmus.connectors.kit.mailing import CUT_HEADER, Relay, own_id
from isthmus.connectors.mail.message import head, read
from isthmus.connectors.mail.simulator import OURS
from isthmus.kernel.errors import Rejected

INSTALLED = registry.at(Path(__file__).parents[1])
SOURCE = INSTALLED.connector.source
WHOLE = {"title": "Checkout is slow", "impact": "high", "urgency": "1"}


def context(**config):
    simulator = INSTALLED.connector.simulator()
    return INSTALLED.context("desk", {**simulator.config(""), **config}, secrets=simulator.secrets())


def mail(text, subject="Help", **more):
    return INSTALLED.connector.simulator().write(subject, text, **more)


def block(**values):
    return "\n".join(f"{name.title()}: {value}" for name, value in values.items())


def parse(raw, **config):
    return SOURCE.parse(raw, {}, context(**config))


def judged(raw, **config):
    here = context(**config)
    return SOURCE.authenticate(SOURCE.sign(raw, here, NOW), raw, here, NOW)


def parked(raw, **config):
    with pytest.raises(Rejected) as caught:
        parse(raw, **config)
    SOURCE.check(raw, {}, context(**config))  # The mail server is rid of it: a person has it now.
    return {each.path for each in caught.value.problems}


def test_labelled_lines_that_say_everything_are_an_incident():
    found = parse(mail(block(**WHOLE)))[0]
    assert found.kind == "incident"
    assert {name: found.values[name] for name in WHOLE} == {**WHOLE}
    assert found.evidence["confidence"] == 100


@pytest.mark.parametrize("name", ["impact", "urgency"])
def test_with_one_label_less_it_waits_for_a_person_and_is_one_incident_when_completed(name):
    raw = mail(block(**{key: value for key, value in WHOLE.items() if key != name}))
    assert parked(raw) == {f"/{name}"}
    assert isinstance(SOURCE, Completable)
    with pytest.raises(Rejected):
        SOURCE.complete(raw, {}, context(), {"category": "x"})
    found = SOURCE.complete(raw, {}, context(), {name: "2"})
    assert len(found) == 1
    assert found[0].values[name] == "2"
    assert found[0].event_id in raw.decode()


def test_prose_waits_unless_the_policy_says_otherwise():
    raw = mail("The checkout is slow, please help", "Checkout is slow")
    assert parked(raw) == {"/impact", "/urgency"}
    assert parked(raw, required=["title"]) == {""}
    found = parse(raw, required=["title"], confidence_min=50)[0]
    assert found.values == {"title": "Checkout is slow", "description": "The checkout is slow, please help"}


def test_a_value_that_nobody_knows_or_two_that_contradict_are_not_chosen_from():
    assert parked(mail(block(**{**WHOLE, "impact": "gigantic"}))) == {"/impact"}
    assert parked(mail(block(**WHOLE) + "\nImpact: low")) == {"/impact"}
    assert parse(mail(block(**WHOLE) + "\nImpact: high"))


@pytest.mark.parametrize(
    ("to", "subject"), [("incidents+printing@hub.example.test", "Jammed"), (OURS, "[printing] Jammed")]
)
def test_a_token_stands_for_its_values(to, subject):
    found = parse(mail("Please come", subject, to=to))[0]
    assert found.values["category"] == "printing"
    assert found.values["title"] == "Jammed"
    assert found.evidence["confidence"] == 90


def test_a_token_of_somebody_elses_address_or_an_unknown_one_stands_for_nothing():
    for to, subject in (("incidents+printing@other.example.test", "Jammed"),
                        ("incidents+unknown@hub.example.test", "Jammed"), (OURS, "[unknown] Jammed")):  # fmt: skip
        assert parked(mail("Please come", subject, to=to))


def test_an_answer_is_a_comment_on_what_began_the_thread_and_changes_nothing():
    found = parse(mail("It works again", "Re: Checkout", In_Reply_To="<m1@example.test>"))[0]
    assert found.external.key == "m1@example.test"
    assert found.values == {}
    assert found.comments[0].body == "It works again"


def test_mails_with_one_reference_are_about_one_thing():
    one, two = (parse(mail(block(**WHOLE), f"{text} [Ref: 4711]"))[0] for text in ("First", "Second"))
    assert one.external.key == two.external.key == "ref:4711"
    assert one.event_id != two.event_id


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated; x"},
        {"Precedence": "bulk"},
        {"Return_Path": "<>"},
        {"List_Id": "<news.example.test>"},
        {"List_Unsubscribe": "<mailto:leave@example.test>"},
        {"From": OURS},
        {"From": "MAILER-DAEMON@example.test"},
        {"Message_ID": own_id("page-1", "example.test")},
    ],
)
def test_no_loop_begins(headers):
    assert parse(mail(block(**WHOLE), **headers)) == []
    assert parse(mail(block(**WHOLE), Auto_Submitted="no"))


def test_what_we_send_ourselves_opens_nothing_when_it_comes_back_even_without_its_mark():
    from isthmus.connectors.smtp import mapping
    from isthmus.connectors.smtp.config import SmtpConfig

    config = SmtpConfig(host="smtp.example.test", sender="hub@example.test")
    message = {"recipient": OURS, "title": "INC-000007", "text": block(**WHOLE)}
    sent = mapping.mail(message, "page-1", config, at=0)
    assert parse(sent.as_bytes()) == []
    del sent["Auto-Submitted"]
    assert parse(sent.as_bytes()) == []
    del sent["Message-ID"]
    assert parse(sent.as_bytes()), "without either it is like any mail"


@pytest.mark.parametrize(
    ("sender", "reason"),
    [
        ("Mailer-Daemon@example.test", "a mail server wrote it"),
        ('"mailer-daemon@example.test" <ada@example.test>', ""),
        ("not-mailer-daemon@example.test", ""),
    ],
)
def test_a_mail_server_is_known_by_its_address_and_not_by_words_in_from(sender, reason):
    assert read(mail("x", From=sender)).automatic == reason


def test_a_mail_that_is_automatic_twice_over_says_the_same_reason_every_time():
    assert read(mail("x", X_Autoreply="yes", List_Id="<x.example.test>")).automatic == "it has list-id"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_who_wrote_is_judged_by_the_head_whatever_the_body_is(end):
    raw = mail("Straße").replace(b'charset="utf-8"', b'charset="unheard-of"').replace(b"\n", end)
    assert raw.startswith(head(raw))
    assert head(raw).endswith(end * 2)
    with pytest.raises(Rejected):
        read(raw)
    assert SOURCE.judge(raw, context()) is None
    assert SOURCE.judge(raw, context(senders=["@elsewhere.test"])).reason == "sender"


def test_a_report_of_a_mail_server_opens_nothing():
    raw = mail(block(**WHOLE))
    assert parse(raw)
    assert (
        parse(raw.replace(b"text/plain", b"multipart/report; boundary=x; report-type=delivery-status")) == []
    )


def test_a_mail_that_goes_round_in_a_circle_opens_nothing():
    raw = mail(block(**WHOLE))
    assert parse(b"Received: by mx.example.test\n" * 50 + raw)
    assert parse(b"Received: by mx.example.test\n" * 51 + raw) == []


def test_an_answer_to_our_message_is_of_a_person():
    found = parse(mail("I am on it", "Re: INC-000007", In_Reply_To=own_id("page-1", "example.test")))[0]
    assert found.comments[0].body == "I am on it"


def test_only_senders_on_the_list_are_heard():
    assert judged(mail("x")) is None
    assert judged(mail("x", sender="alice@sub.example.test")).reason == "sender"
    assert judged(mail("x", sender="eve@other.test")).reason == "sender"
    assert judged(mail("x", sender="eve@other.test"), senders=["eve@other.test"]) is None


@pytest.mark.parametrize(
    "result",
    [
        "mx.example.test; dmarc=fail header.from=example.test",
        "mx.example.test; dmarc=pass header.from=other.test",
        "mx.example.test; spf=pass smtp.mailfrom=example.test",
        "mx.attacker.test; dmarc=pass header.from=example.test",
        "mx.example.test; dkim=pass header.d=example.test",
        "",
    ],
)
def test_what_our_own_mail_server_did_not_prove_is_not_believed(result):
    assert judged(mail("x", Authentication_Results=result)).reason == "unproved"
    assert judged(mail("x", Authentication_Results=result), proof="none") is None


def test_only_the_topmost_result_of_our_mail_server_counts():
    fails = b"Authentication-Results: mx.example.test; dmarc=fail header.from=example.test\n"
    assert judged(fails + mail("x")).reason == "unproved"


def test_a_signature_counts_for_its_own_domain_only():
    for domain, heard in (("example.test", True), ("test", True), ("attacker.test", False)):
        result = f"mx.example.test; dkim=pass header.d={domain}"
        assert (judged(mail("x", Authentication_Results=result), proof="dkim") is None) is heard


def test_without_the_mail_servers_token_nobody_is_heard():
    here = context()
    assert SOURCE.authenticate({}, mail("x"), here, NOW).status == 401


def test_a_mail_without_id_is_known_by_its_bytes():
    raw = mail(block(**WHOLE), Message_ID="none")
    assert parse(raw)[0].event_id.startswith("sha256:")
    assert parse(raw)[0].event_id == parse(raw)[0].event_id
    assert parse(raw + b"\n")[0].event_id != parse(raw)[0].event_id


def test_a_mail_without_id_is_the_same_whichever_way_it_came():
    raw = mail(block(**WHOLE), Message_ID="none")
    traced = b"Return-Path: <alice@example.test>\r\nDelivered-To: x@example.test\r\nReceived: from a\r\n\tby b;\r\n\tnow\r\n"
    posted = parse(raw)[0].event_id
    assert parse(traced + raw.replace(b"\n", b"\r\n"))[0].event_id == posted
    assert parse(raw.replace(b"slow", b"fast"))[0].event_id != posted
    assert SOURCE.name(raw, {}, context()) == posted


def test_a_mail_that_is_cut_off_is_looked_at():
    raw, headers = mail(block(**WHOLE)), {CUT_HEADER: "9000000"}
    with pytest.raises(Rejected) as caught:
        SOURCE.parse(raw, headers, context())
    assert "too large" in str(caught.value.problems)
    assert SOURCE.complete(raw, headers, context(), {"category": "x"})


def test_too_many_attachments_are_looked_at():
    from email import message_from_bytes, policy

    made = message_from_bytes(mail(block(**WHOLE)), policy=policy.default)
    for n in range(3):
        made.add_attachment(b"x" * 10, maintype="image", subtype="png", filename=f"{n}.png")
    assert parked(made.as_bytes(), attachments_max=2) == {"/attachments"}
    found = parse(made.as_bytes())[0]
    assert [each["bytes"] for each in found.evidence["attachments"]] == [10, 10, 10]


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"From: a@example.test\n", b"From: a@example.test\nContent-Type: "]),
)
def test_no_bytes_crash_the_reader(raw, start):
    try:
        parse(start + raw)
    except Rejected as refused:
        assert "\n" not in str(refused)  # noqa: PT017 - both ends are fine


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"authority": ""}, "needs the authority"),
        ({"addresses": ["a+b@example.test"]}, "no address without a plus"),
        ({"reference": "("}, "no regular expression"),
        ({"reference": "x"}, "one group"),
        ({"secret": None}, "no way in"),
        ({"imap_host": "imap.example.test"}, "needs imap_user"),
        ({"imap_after": "move"}, "belong together"),
        ({"smtp_peers": ["somewhere"]}, "no network"),
        ({"smtp_user": "mx"}, "belong together"),
        ({"imap_idle_seconds": 1_740}, "imap_idle_seconds"),
    ],
)
def test_a_wrong_policy_is_refused_when_it_is_saved(config, says):
    with pytest.raises(Rejected) as caught:
        context(**config)
    assert says in str(caught.value)


def test_our_addresses_are_ours_with_and_without_a_token():
    for recipient, ours in (
        (OURS, True),
        ("Incidents+printing@HUB.example.test", True),
        ("other@hub.example.test", False),
    ):
        assert SOURCE.receives(recipient, context()) is ours


def test_a_mail_server_is_admitted_by_its_network_only():
    here = context(smtp_peers=["192.0.2.0/28", "2001:db8::/64"])
    for address, admitted in (
        ("192.0.2.7", True), ("192.0.2.99", False), ("::ffff:192.0.2.7", True), ("2001:db8::1", True),
        ("2001:db9::1", False), ("", False), ("mx.example.test", False),
    ):  # fmt: skip
        assert SOURCE.admits(Relay(address=address), here) is admitted
    assert not SOURCE.admits(Relay(address="192.0.2.7"), context())


def test_an_account_is_user_and_password_and_none_without_a_password():
    config = {"smtp_user": "mx", "smtp_password": {"secret": "env:SMTP_PASSWORD"}}
    here = context(**config)
    known = INSTALLED.context(
        "desk", {**INSTALLED.connector.simulator().config(""), **config}, secrets={"smtp_password": "p"}
    )
    assert SOURCE.offers_sign_in(known)
    assert SOURCE.signs_in("mx", "p", known)
    assert not SOURCE.signs_in("mx", "q", known)
    assert not SOURCE.signs_in("my", "p", known)
    assert not SOURCE.offers_sign_in(here)
    assert not SOURCE.signs_in("mx", "", here)
