"""Posts messages with the Web API, and looks before it posts again.

Slack answers 200 with `ok: false` for what other systems say with a status, so the word in `error` decides the
reaction. Every message carries our key as metadata: after an answer that was lost, the channel's history says
whether the message is there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast

from isthmus.connectors.kit import doubt
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.ports import Context, Probe, Written
from isthmus.connectors.kit.reactions import Answer
from isthmus.connectors.slack import mapping
from isthmus.connectors.slack.config import SlackConfig
from isthmus.kernel import wild
from isthmus.kernel.errors import IsthmusError, NeedsOperator, NotFound, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.observation import ExternalRef
from isthmus.kernel.record import Json
from isthmus.kernel.wild import Wild

HISTORY_MAX = 200
_OPERATOR = frozenset(
    {
        "not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired", "missing_scope", "no_permission",
        "org_login_required", "ekm_access_denied", "access_denied", "not_allowed_token_type", "team_access_not_granted",
        "not_in_channel", "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel",
    }
)  # fmt: skip
_GONE = frozenset(
    {"channel_not_found", "user_not_found", "is_archived", "cannot_dm_bot", "messages_tab_disabled"}
)
_LATER = frozenset({"ratelimited", "rate_limited", "service_unavailable", "team_added_to_org"})
_PERHAPS = frozenset({"internal_error", "fatal_error", "request_timeout"})
"""Words after which something may have happened."""


class SlackClient:
    """The client of one workspace."""

    def __init__(self, context: Context) -> None:
        config = cast("SlackConfig", context.config)
        token = context.secret("token")
        self._connection, self._look_back = context.connection, config.look_back_seconds
        self._reads_back = config.read_back
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            secrets=(token, context.secret("signing_secret"), context.secret("previous_signing_secret")),
            allow_private_addresses=context.allow_private_addresses,
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def probe(self) -> Probe:
        """Ask who we are; the answer's header lists what the token may do."""
        answer = await self._http.call("POST", "/auth.test", json={}, writes=False)
        said = _checked(answer, writes=False)
        granted = {
            each.strip() for each in answer.headers.get("x-oauth-scopes", "").split(",") if each.strip()
        }
        missing = tuple(each for each in ("chat:write",) if granted and each not in granted)
        team = said["team"].tame(wild.optional(wild.text, ""))
        notes = () if granted & {"channels:history", "groups:history", "im:history"} or not granted else (
            "Without a history scope a message whose answer was lost cannot be looked for.",
        )  # fmt: skip
        return Probe(product="Slack", version=team, missing_scopes=missing, notes=notes)

    async def notify(self, *, message: Mapping[str, Json], idempotency_key: str) -> Written:
        """Post a message; `ref.key` is `<channel>/<ts>`."""
        sent = mapping.body(message, idempotency_key)
        if doubt.exists():
            found = await self._found(sent, idempotency_key)
            if found is not None:
                return found
        try:
            answer = await self._http.call("POST", "/chat.postMessage", json=sent)
            said = _checked(answer, writes=True)
        except UnknownOutcome as fault:
            # An error that Slack answered is over: nothing of it can still be on its way, so looking settles it now.
            if " answered " not in fault.text:
                raise
            found = await self._looked(sent, idempotency_key, fault)
            if found is not None:
                return found
            raise Retryable(
                fault.text, remedy="The channel was looked at: the message is not there."
            ) from fault
        posted = self._written(said["channel"].tame(wild.text), said["ts"].tame(wild.text))
        return await self._read_back(posted, sent) if self._reads_back else posted

    async def _read_back(self, posted: Written, sent: Mapping[str, Any]) -> Written:
        """Say whether the channel shows the message; that nobody may look takes nothing from the answer."""
        channel, _, ts = posted.ref.key.partition("/")
        asked = {"channel": channel, "oldest": ts, "latest": ts, "inclusive": True, "limit": 1}
        if "thread_ts" in sent:
            return posted
        try:
            answer = await self._http.call("POST", "/conversations.history", json=asked, writes=False)
            shown = [
                each["ts"].tame(wild.text) for each in _checked(answer, writes=False)["messages"].items()
            ]
        except IsthmusError:
            return posted
        return self._written(channel, ts, read_back=ts in shown)

    async def _looked(self, sent: Mapping[str, Any], key: str, fault: UnknownOutcome) -> Written | None:
        try:
            return await self._found(sent, key)
        except IsthmusError:
            raise fault from None

    async def _found(self, sent: Mapping[str, Any], key: str) -> Written | None:
        """Return the message with our key in the recent history of its channel; `Rejected` if nobody may look."""
        try:
            channel = await self._conversation(str(sent["channel"]))
            answer = await self._http.call(
                "POST",
                "/conversations.replies" if "thread_ts" in sent else "/conversations.history",
                json={
                    "channel": channel, "include_all_metadata": True, "limit": HISTORY_MAX,
                    "oldest": f"{time.time() - self._look_back:.6f}",
                    **({"ts": sent["thread_ts"]} if "thread_ts" in sent else {}),
                },
                writes=False,
            )  # fmt: skip
            said = _checked(answer, writes=False)
        except (NeedsOperator, NotFound, Rejected) as fault:
            raise Rejected(
                "Slack may have the message already, and the channel cannot be looked at.",
                remedy="Give the app the history scopes of its channels (channels:history, im:history).",
            ) from fault
        for each in said["messages"].items():
            payload = each["metadata"]["event_payload"]["key"]
            if not payload.missing and payload.tame(wild.optional(wild.text, "")) == key:
                return self._written(channel, each["ts"].tame(wild.text), read_back=True)
        return None

    async def _conversation(self, recipient: str) -> str:
        """Return the id of the conversation with a recipient: a person's is opened, which changes nothing."""
        if not recipient.startswith(("U", "W")):
            return recipient
        answer = await self._http.call("POST", "/conversations.open", json={"users": recipient}, writes=False)
        return _checked(answer, writes=False)["channel"]["id"].tame(wild.text)

    def _written(self, channel: str, ts: str, *, read_back: bool = False) -> Written:
        ref = ExternalRef(connection=self._connection, kind="message", key=f"{channel}/{ts}", label=ts)
        return Written(ref=ref, version=ts if read_back else "")


def _checked(answer: Answer, *, writes: bool) -> Wild:
    """Return an answer that says ok; raise what its error word calls for otherwise."""
    said = answer.wild()
    if said["ok"].tame(wild.optional(wild.boolean, False)):
        return said
    word = said["error"].tame(wild.optional(wild.text, "unknown"))[:80]
    text = f"{answer.where} answered {word}."
    if word in _OPERATOR:
        needed = said["needed"].tame(wild.optional(wild.text, ""))[:80]
        remedy = (
            f"Give the app the scope {needed}." if needed else "Check the app's token, scopes and channels."
        )
        if word == "not_in_channel":
            remedy = "Invite the app to the channel, or give it chat:write.public."
        raise NeedsOperator(text, remedy=remedy)
    if word in _GONE:
        raise NotFound(text, remedy="Use the id of a channel or member that exists.")
    if word in _LATER:
        raise Retryable(text, remedy="It is tried again by itself.")
    if word in _PERHAPS and writes:
        raise UnknownOutcome(text, remedy="The hub looks whether the message is there.")
    if word in _PERHAPS:
        raise Retryable(text, remedy="It is tried again by itself.")
    raise Rejected(text, remedy="Slack does not take this message; see its documentation for the word.")
