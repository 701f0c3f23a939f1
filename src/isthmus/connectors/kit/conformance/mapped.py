"""Mappings: total outward, unknown kept inward, the loss declared, the round trip exact apart from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.connectors.kit.conformance.world import World
from isthmus.kernel.coverage import check
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.record import Field, FieldType, Json
from isthmus.kernel.spelling import Known, Unknown

_UNHEARD_OF = "a value nobody has heard of ✗"


class Mapped:
    """Rows 5 and 6 of the contract."""

    world: World

    def _mapped_kinds(self) -> list[str]:
        kinds = list(self.world.connector.mappings)
        if not kinds:
            pytest.skip("the connector maps no synced record")
        return kinds

    def test_value_tables_are_total_outward_and_valid(self) -> None:
        for kind in self._mapped_kinds():
            wrong = [
                each.text
                for each in check(self.world.mapping(kind), KINDS[kind])
                if each.kind in {"invalid", "uncovered", "ambiguous"}
            ]
            assert not wrong, "\n".join(wrong)

    def test_loss_is_declared(self) -> None:
        for kind in self._mapped_kinds():
            lossy = {
                each.field for each in check(self.world.mapping(kind), KINDS[kind]) if each.kind == "lossy"
            }
            for field in sorted(lossy):
                if f"{kind}.{field}" not in self.world.manifest.loss:
                    self.world.fail(f"loses {kind}.{field}", f'declare it: loss."{kind}.{field}" = "why"')

    def test_an_unknown_partner_value_is_kept_and_never_defaulted(self) -> None:
        for kind in self._mapped_kinds():
            mapping = self.world.mapping(kind)
            for name in mapping.read():
                if mapping.fields[name].outward or mapping.fields[name].inward:
                    found = mapping.inward(name, _UNHEARD_OF)
                    assert isinstance(found, Unknown), f"{kind}.{name} defaults unknown values"
                    assert found.raw == _UNHEARD_OF

    def test_the_round_trip_is_exact_apart_from_the_declared_loss(self) -> None:
        for kind in self._mapped_kinds():
            self._round_trip(kind)

    def _round_trip(self, kind: str) -> None:
        mapping, declared = self.world.mapping(kind), KINDS[kind].by_name
        both = [name for name in mapping.read() if name in mapping.written()]
        exact = [name for name in both if f"{kind}.{name}" not in self.world.manifest.loss]

        @settings(max_examples=60, deadline=None)
        @given(st.data())
        def trip(data: Any) -> None:
            for name in exact:
                value = data.draw(values_of(declared[name]), label=name)
                back = mapping.inward(name, mapping.normal(name, value))
                assert back == Known(value=value), f"{kind}.{name}: {value!r} came back as {back}"

        trip()


def values_of(field: Field) -> st.SearchStrategy[Json]:
    """Return a strategy for the canonical values of a field."""
    match field.type:
        case FieldType.CHOICE:
            return st.sampled_from(field.choices)
        case FieldType.BOOLEAN:
            return st.booleans()
        case FieldType.INTEGER:
            return st.integers(-(2**31), 2**31)
        case FieldType.INSTANT:
            # Whole seconds: no partner of ours keeps more, and the hub declares no more either.
            return st.integers(0, 4_000_000_000).map(lambda seconds: seconds * 1_000_000)
        case FieldType.SET:
            return st.lists(_texts(1), max_size=5, unique=True).map(lambda found: list[Json](sorted(found)))
        case _:
            return _texts(1)


def _texts(size_min: int) -> st.SearchStrategy[str]:
    letters = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
    return st.text(letters, min_size=size_min, max_size=40).filter(
        lambda text: bool(text) and text == text.strip()
    )
