"""Who may send, and which addresses are believed: each rule with its negative twin."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.world import NOW
from isthmus.connectors.sns.simulator import CERTIFICATE_PATH, TOPIC, signed, signer
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import HOUR, Instant

FOLDER = Path(__file__).parents[1]
INSTALLED = registry.at(FOLDER)
SOURCE = INSTALLED.connector.source
KEY_URL = f"https://sns.eu-central-1.amazonaws.com{CERTIFICATE_PATH}"


def context(*, pinned=True, **config):
    data = {"topics": [TOPIC], **({"certificate": {"secret": "env:C"}} if pinned else {}), **config}
    return INSTALLED.context("aws", data, secrets={"certificate": signer()[0]} if pinned else {})


def body(name="alarm_fires_signature_version_2", **changed):
    sent = json.loads((FOLDER / "fixtures" / "accepted" / f"{name}.json").read_bytes())
    return json.dumps({**sent, **changed}).encode()


def again(name="alarm_fires_signature_version_2", version="2", **changed):
    """Return the fixture with other members, signed anew."""
    sent = json.loads((FOLDER / "fixtures" / "accepted" / f"{name}.json").read_bytes())
    return json.dumps(signed({**sent, **changed}, version=version)).encode()


def judged(raw, here=None, headers=None, now=NOW):
    return SOURCE.authenticate(headers or {}, raw, here or context(), now)


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_the_signature_are_checked(version):
    assert judged(body(f"alarm_fires_signature_version_{version}")) is None
    for name in ("Message", "Subject", "MessageId", "Timestamp"):
        changed = body(f"alarm_fires_signature_version_{version}", **{name: "2026-11-20T15:00:00.000Z"})
        assert judged(changed).status == 401, name


def test_a_signature_of_one_version_does_not_pass_for_the_other():
    assert judged(body(SignatureVersion="1")).reason == "wrong"


def test_the_token_and_the_link_of_a_confirmation_are_signed_too():
    assert judged(body("subscription_asks_to_be_confirmed")) is None
    assert judged(body("subscription_asks_to_be_confirmed", Token="other")).reason == "wrong"
    assert judged(body("subscription_asks_to_be_confirmed", SubscribeURL="https://x/")).reason == "wrong"


def test_only_sha256_can_be_demanded():
    assert judged(body("alarm_fires_signature_version_1"), context(sha256_only=True)).reason == "version"
    assert judged(body(), context(sha256_only=True)) is None


def test_a_topic_that_is_not_pinned_is_refused_before_its_signature_is_looked_at():
    other = TOPIC.replace("itsm", "other")
    refused = judged(again(TopicArn=other))
    assert (refused.status, refused.reason) == (403, "topic")
    assert judged(again(TopicArn=other), context(topics=[TOPIC, other])) is None


def test_raw_delivery_is_refused_with_what_to_do():
    refused = judged(body(), headers={"x-amz-sns-rawdelivery": "true"})
    assert (refused.status, refused.reason) == (403, "raw")
    assert "turn it off" in refused.text
    assert judged(body(), headers={"x-amz-sns-rawdelivery": "false"}) is None


def test_a_header_that_contradicts_the_body_is_refused():
    assert judged(body(), headers={"x-amz-sns-message-type": "SubscriptionConfirmation"}).status == 401
    assert judged(body(), headers={"x-amz-sns-message-type": "Notification"}) is None


def test_what_is_too_old_or_from_the_future_is_refused():
    assert judged(body(), now=Instant(NOW + 23 * HOUR)) is None
    for now in (Instant(NOW + 25 * HOUR), Instant(NOW - 25 * HOUR)):
        assert judged(body(), now=now).reason == "late"
    assert judged(body(), context(age_hours_max=72), now=Instant(NOW + 25 * HOUR)) is None


def test_without_a_pinned_certificate_the_key_is_asked_for_and_then_believed():
    here = context(pinned=False)
    refused = judged(body(), here)
    assert (refused.status, refused.reason) == (503, "key")
    assert SOURCE.key_url({}, body(), here) == KEY_URL
    assert judged(body(), replace(here, keys={KEY_URL: signer()[0].encode()})) is None
    assert judged(body(), replace(here, keys={KEY_URL: b"no certificate"})).reason == "wrong"


@pytest.mark.parametrize(
    "url",
    [
        KEY_URL.replace("https", "http"),
        KEY_URL.replace(".com", ".com.attacker.example"),
        KEY_URL.replace("eu-central-1", "us-east-1"),
        KEY_URL.replace("amazonaws.com", "amazonaws.com:8443"),
        KEY_URL.replace("https://", "https://sns.eu-central-1.amazonaws.com@"),
        KEY_URL.replace("sns.", "s3."),
        KEY_URL.replace("SimpleNotificationService-", "bucket/"),
        KEY_URL + "?x=1",
        KEY_URL.replace(".pem", ".pem/../x"),
        "https://169.254.169.254" + CERTIFICATE_PATH,
        "file:///etc/passwd",
        "not a url",
    ],
)
def test_no_other_address_is_believed_or_even_named(url):
    raw = body(SigningCertURL=url)
    assert SOURCE.key_url({}, raw, context(pinned=False)) == ""
    assert judged(raw, context(pinned=False)).reason == "certificate"


def test_china_has_hosts_of_its_own():
    topic = TOPIC.replace("arn:aws:", "arn:aws-cn:").replace("eu-central-1", "cn-north-1")
    url = f"https://sns.cn-north-1.amazonaws.com.cn{CERTIFICATE_PATH}"
    raw = body(SigningCertURL=url, TopicArn=topic)
    assert SOURCE.key_url({}, raw, context(pinned=False, topics=[topic])) == url


def test_a_subscription_is_confirmed_only_by_its_own_link():
    asked = json.loads(body("subscription_asks_to_be_confirmed"))
    here = context()
    assert SOURCE.visit_url({}, json.dumps(asked).encode(), here) == asked["SubscribeURL"]
    for changed in (
        {"SubscribeURL": asked["SubscribeURL"].replace("amazonaws.com", "attacker.example")},
        {"SubscribeURL": asked["SubscribeURL"].replace("https", "http")},
        {"SubscribeURL": asked["SubscribeURL"].replace("ConfirmSubscription", "Unsubscribe")},
        {"SubscribeURL": asked["SubscribeURL"].replace(TOPIC, TOPIC + "2")},
        {"Token": "other"},
    ):
        raw = json.dumps({**asked, **changed}).encode()
        assert SOURCE.visit_url({}, raw, here) == ""
        with pytest.raises(Rejected) as caught:
            SOURCE.parse(raw, {}, here)
        assert caught.value.problems[0].path == "/SubscribeURL"


def test_an_unsubscription_is_told_and_its_link_never_visited():
    raw = body("topic_was_unsubscribed")
    assert SOURCE.visit_url({}, raw, context()) == ""
    gone, back = (
        SOURCE.parse(each, {}, context())[0] for each in (raw, body("subscription_asks_to_be_confirmed"))
    )
    assert gone.external == back.external
    assert (gone.values["state"], back.values["state"]) == ("firing", "resolved")


def test_missing_data_means_what_the_connection_says():
    raw = body("alarm_without_data_keeps_its_state")
    assert SOURCE.parse(raw, {}, context()) == []
    for wanted in ("firing", "resolved"):
        found = SOURCE.parse(raw, {}, context(insufficient_data=wanted))
        assert found[0].values["state"] == wanted


def test_the_first_known_word_of_a_name_gives_the_severity():
    def severity(**config):
        return SOURCE.parse(body(), {}, context(**config))[0].values["severity"]

    assert severity() == "error"
    assert severity(severities={"CPU": "critical"}) == "critical"
    assert severity(severities={"cp": "critical"}, severity="warning") == "warning"


def test_a_topic_that_is_no_arn_is_refused():
    with pytest.raises(Rejected):
        context(topics=["itsm"])
