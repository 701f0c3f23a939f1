"""Pushed sources: every event has a fixture, every fixture maps, every malformed one is refused with its path."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from isthmus.connectors.kit.conformance.world import NOW, Fixture, World
from isthmus.connectors.kit.ports import Context
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import HOUR, Instant
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.observation import Observation
from isthmus.kernel.signature import Hmac

_GARBAGE = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe\x00",
    b"[" * 5_000,
    b'{"a":' * 500,
    b"\x00" * 100,
)

_SELDOM = frozenset({"attachments", "sla_clocks"})


class Pushed:
    """Rows 3, 4 and 12 of the contract."""

    world: World

    def _context(self) -> Context:
        self.world.needs("webhook", "import")
        return self.world.context(self.world.simulator())

    def _parse(self, fixture: Fixture, context: Context) -> list[Observation]:
        return self.world.source().parse(fixture.body, fixture.headers, context)

    def test_every_declared_kind_has_an_accepted_fixture(self) -> None:
        context = self._context()
        seen = {each.kind for fixture in self.world.accepted() for each in self._parse(fixture, context)}
        for kind in (*self.world.kinds("webhook"), *self.world.kinds("import")):
            if kind not in seen:
                self.world.fail(f"declares {kind} without a fixture", "add one under fixtures/accepted")
        assert not seen - {each.kind for each in self.world.manifest.able()}, (
            f"Declare {sorted(seen)} as <kind>:webhook or <kind>:import."
        )

    def test_accepted_fixtures_give_the_stored_observations(self) -> None:
        context = self._context()
        for fixture in self.world.accepted():
            found = self._parse(fixture, context)
            self.world.source().check(fixture.body, fixture.headers, context)
            self.world.snapshot(fixture.snapshot, [_shown(each) for each in found])

    def test_observations_use_canonical_names_and_the_connection(self) -> None:
        context = self._context()
        for fixture in self.world.accepted():
            for each in self._parse(fixture, context):
                assert not set(each.values) - set(KINDS[each.kind].by_name), f"{fixture.name}: {each.kind}"
                assert each.external.connection == context.connection
                assert each.external.key

    def test_events_carry_their_declared_identity(self) -> None:
        context = self._context()
        assert self.world.manifest.event_id is not None
        for fixture in self.world.accepted():
            first, again = self._parse(fixture, context), self._parse(fixture, context)
            ids = [each.event_id for each in first]
            assert ids == [each.event_id for each in again], "the identity of an event must not change"
            if self.world.manifest.event_id.nature == "fact":
                assert all(ids), "a source of facts must give every event an id"
            if all(ids):
                assert len(set(ids)) == len(ids), f"{fixture.name}: two events share an id"

    def test_refused_fixtures_are_refused_with_path_and_sentence(self) -> None:
        context = self._context()
        count = 0
        for fixture, expected in self.world.refused():
            count += 1
            for act in (self.world.source().parse, self.world.source().check):
                with pytest.raises(Rejected) as caught:
                    act(fixture.body, fixture.headers, context)
                problem = caught.value.problems[0]
                assert problem.path == expected["path"], f"{fixture.name}: {caught.value}"
                assert expected["says"] in str(caught.value), f"{fixture.name}: {caught.value}"
                assert str(caught.value).count("\n") == 0
        if not count:
            self.world.fail("has no refused fixtures", "add malformed inputs under fixtures/refused")

    def test_garbage_is_refused_and_never_crashes(self) -> None:
        context = self._context()
        for body in _GARBAGE:
            with pytest.raises(Rejected):
                self.world.source().parse(body, {}, context)

    def test_an_authentic_request_enters(self) -> None:
        context = self._context()
        for fixture in self.world.accepted():
            headers = {**fixture.headers, **self.world.sign(fixture.body, context)}
            assert self.world.source().authenticate(headers, fixture.body, context, NOW) is None

    def test_missing_wrong_and_wrongly_encoded_credentials_are_refused(self) -> None:
        context = self._context()
        source = self.world.source()
        body = b'{"harmless": true}'
        good = self.world.sign(body, context)
        assert source.authenticate({}, body, context, NOW) is not None, "a missing credential entered"
        for wrong in ("", "x", "sha256=zz", "Bearer ", "Basic !!!", "v1=,v1=", "é" * 40, "0" * 10_000):
            forged = dict.fromkeys(good, wrong)
            refused = source.authenticate(forged, body, context, NOW)
            assert refused is not None, f"{wrong[:20]!r} entered"
            assert refused.status in {401, 403}
        stranger = Context(**{**vars(context), "secrets": dict.fromkeys(context.secrets, _other_secret())})
        theirs = self.world.sign(body, stranger)
        assert source.authenticate(theirs, body, context, NOW) is not None, "another's secret entered"

    def test_without_a_secret_nothing_enters(self) -> None:
        context = self._context()
        bare = Context(**{**vars(context), "secrets": {}})
        headers = self.world.sign(b"{}", context)
        assert self.world.source().authenticate(headers, b"{}", bare, NOW) is not None

    def test_a_changed_body_and_a_late_signature_are_refused(self) -> None:
        context = self._context()
        source = self.world.source()
        scheme = getattr(source, "scheme", lambda _: None)(context)
        if not isinstance(scheme, Hmac):
            pytest.skip("the scheme does not sign the body")
        headers = self.world.sign(b'{"a":1}', context)
        assert source.authenticate(headers, b'{"a":2}', context, NOW) is not None
        if scheme.age_seconds_max is not None:
            for late in (Instant(NOW + HOUR), Instant(NOW - HOUR)):
                assert source.authenticate(headers, b'{"a":1}', context, late) is not None

    def test_no_secret_in_any_refusal(self) -> None:
        context = self._context()
        body = json.dumps({"leak": list(context.secrets.values())}).encode()
        refused = self.world.source().authenticate({"authorization": "Bearer nobody"}, body, context, NOW)
        shown = repr(refused)
        try:
            self.world.source().parse(body, {}, context)
        except Rejected as error:
            shown += f"{error} {error.problems}"
        assert not [value for value in context.secrets.values() if value in shown]


def _other_secret() -> str:
    return base64.b64encode(b"someone else's secret, quite long").decode()


def _shown(observation: Observation) -> dict[str, Any]:
    """Return an observation as snapshots hold it: files and clocks only where the source speaks of them."""
    shown: dict[str, Any] = msgspec.to_builtins(observation)
    return {name: value for name, value in shown.items() if name not in _SELDOM or value is not None}
