"""A blueprint's own columns and crosswalks need no code in the connector."""

import asyncio
from pathlib import Path

from isthmus.connectors.kit import registry
from isthmus.connectors.servicenow.connector import ServiceNow
from isthmus.connectors.servicenow.mapping import INCIDENT_MAPPING
from isthmus.connectors.servicenow.simulator import ServiceNowSimulator
from isthmus.kernel.mapping import FieldMapping

OWN = INCIDENT_MAPPING.overlaid(
    {
        "ci": FieldMapping(external="u_isthmus_ci", direction="out"),
        "priority": FieldMapping(
            external="priority",
            outward={"1": "1", "2": "1", "3": "2", "4": "3"},
            inward={"1": "1", "2": "3", "3": "4", "4": "4", "5": "4"},
        ),
    }
)


def test_a_ci_stands_in_its_own_column_and_priorities_follow_the_crosswalk():
    async def act():
        simulator = ServiceNowSimulator()
        url = await simulator.start()
        context = registry.at(Path(__file__).parents[1]).context(
            "snow",
            simulator.config(url),
            secrets=simulator.secrets(),
            mappings={"incident": OWN},
            allow_private_addresses=True,
        )
        client = ServiceNow(context)
        values = {"title": "x", "ci": "CI-77", "priority": OWN.outward("priority", "3")}
        made = await client.create("incident", values, "link", "")
        row = simulator.shelf("incident").get(made.ref.key)
        await client.close()
        await simulator.stop()
        return row, made.observation.values

    row, values = asyncio.run(act())
    assert row["u_isthmus_ci"] == "CI-77"
    assert row["priority"] == "2"
    assert OWN.inward("priority", values["priority"]).value == "3"
    assert "ci" not in values, "what we only write is not listened to"
