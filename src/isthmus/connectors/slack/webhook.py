"""Buttons that people press: Slack posts a form whose field `payload` is JSON, signed over the raw body."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from urllib.parse import parse_qs

import msgspec

from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.webhook import WebhookSource
from isthmus.kernel import wild
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.wild import Wild

ACTIONS_MAX = 25
FIELDS_MAX = 20


class SlackSource(WebhookSource):
    """`block_actions` become acknowledgements. Everything else is understood and concerns nobody."""

    scheme_name = "slack"
    secret_names = ("signing_secret", "previous_signing_secret")
    taken = 200
    """Slack shows its user an error for anything but a 200 within three seconds."""

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return one observation per pressed button that is ours."""
        del headers
        payload = _payload(body)
        if payload["type"].tame(wild.text) != "block_actions":
            return []
        user = payload["user"]["id"].tame(wild.text)
        found = []
        for each in islice(payload["actions"].items(), ACTIONS_MAX):
            observation = _pressed(each, user, payload, context)
            if observation is not None:
                found.append(observation)
        return found


def _payload(body: bytes) -> Wild:
    try:
        fields = parse_qs(
            body.decode("ascii"), strict_parsing=True, max_num_fields=FIELDS_MAX, errors="strict"
        )
        (text,) = fields["payload"]
    except (ValueError, KeyError) as cause:
        raise Rejected(
            "The body is not a form with one field payload.",
            problems=(
                Problem(
                    path="/payload", message="missing", remedy="Send Slack's interactivity requests here."
                ),
            ),
        ) from cause
    return wild.from_json(text.encode())


def _pressed(action: Wild, user: str, payload: Wild, context: Context) -> Observation | None:
    if action["block_id"].tame(wild.optional(wild.text, "")) != "isthmus":
        return None
    name = action["action_id"].tame(wild.text)
    if name == "open":
        return None  # a link: the press itself means nothing
    pressed_at = action["action_ts"].tame(wild.text)
    key = action["value"].tame(wild.text)
    message = payload["message"]["ts"].tame(wild.optional(wild.text, ""))
    return Observation(
        kind="acknowledgement",
        external=ExternalRef(
            connection=context.connection, kind="button", key=f"{message}/{pressed_at}/{user}"[:200]
        ),
        values={"notification": key[:200], "action": name[:64]},
        event_id=f"{key[:200]}:{name[:64]}:{user[:64]}:{pressed_at[:32]}",
        occurred_at=_instant(action, pressed_at),
        partner_actor=user[:64],
    )


def _instant(action: Wild, text: str) -> Instant:
    whole, _, part = text.partition(".")
    if not whole.isdigit() or len(whole) > 12 or (part and not part.isdigit()):
        action["action_ts"].refuse("is no time of Slack's")
    return Instant(int(whole) * SECOND + int((part + "000000")[:6]))


def encoded(payload: object) -> bytes:
    """Return the body that Slack would send for a payload."""
    from urllib.parse import urlencode

    return urlencode({"payload": msgspec.json.encode(payload).decode()}).encode()
