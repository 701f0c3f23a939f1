"""Configuration: unknown keys refused with the nearest known one, secrets never shown, every field explained."""

from __future__ import annotations

import pytest

from isthmus.connectors.kit import config as configuration
from isthmus.connectors.kit.conformance.world import UNREACHABLE_URL, World
from isthmus.kernel.errors import Rejected


class Configured:
    """Row 2 of the contract."""

    world: World

    def test_an_unknown_key_is_refused_with_the_nearest_known_one(self) -> None:
        data = self.world.simulator().config(UNREACHABLE_URL)
        known = next(iter(configuration.help_texts(self.world.connector.config)))
        with pytest.raises(Rejected) as caught:
            configuration.parse(self.world.connector.config, {**data, f"{known}x": "1"})
        assert caught.value.problems[0].path == f"/{known}x"
        assert repr(known) in caught.value.problems[0].remedy

    def test_every_field_has_a_help_text(self) -> None:
        for name, text in configuration.help_texts(self.world.connector.config).items():
            if not text:
                self.world.fail(
                    f"explains no config field {name}", "annotate it: Annotated[…, Meta(description=…)]"
                )

    def test_secrets_are_references_and_never_shown(self) -> None:
        simulator = self.world.simulator()
        context = self.world.context(simulator)
        declared = set(configuration.secret_fields(self.world.connector.config))
        if stray := set(simulator.secrets()) - declared:
            self.world.fail(
                f"uses {sorted(stray)} as secrets", "declare these fields as SecretRef in config.py"
            )
        shown = f"{context!r} {context.config!r}"
        assert not [name for name, value in simulator.secrets().items() if value in shown]

    def test_a_secret_written_in_clear_is_refused_without_repeating_it(self) -> None:
        fields = configuration.secret_fields(self.world.connector.config)
        if not fields:
            pytest.skip("the configuration has no secret")
        data = self.world.simulator().config(UNREACHABLE_URL)
        with pytest.raises(Rejected) as caught:
            configuration.parse(self.world.connector.config, {**data, fields[0]: {"secret": "hunter2"}})
        assert "hunter2" not in f"{caught.value} {caught.value.problems}"

    def test_the_form_can_be_made(self) -> None:
        document = configuration.schema(self.world.connector.config)
        assert document.get("$ref") or document.get("properties") is not None
