"""The words that come with Isthmus, in English and German; the blueprint's `templates` override them."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.practices.on_call.rules.wording import Template

BUILT_IN: Mapping[str, Mapping[str, Template]] = {
    "sla": {
        "en": Template(
            title="{number}: {percent} % of the {target} time is used",
            text="{number} (priority {priority}, {group}): {time_left}, due {deadline}. {title}",
        ),
        "de": Template(
            title="{number}: {percent} % der Zeit für {target} sind verbraucht",
            text="{number} (Priorität {priority}, {group}): {time_left}, fällig {deadline}. {title}",
        ),
    },
    "priority": {
        "en": Template(
            title="{number}: priority {priority}", text="{number} needs you: {title} Group {group}, due {deadline}."
        ),
        "de": Template(
            title="{number}: Priorität {priority}",
            text="{number} braucht Sie: {title} Gruppe {group}, fällig {deadline}.",
        ),
    },
    "major": {
        "en": Template(
            title="Major incident {number}", text="{number} is a major incident (priority {priority}): {title}"
        ),
        "de": Template(
            title="Großstörung {number}", text="{number} ist eine Großstörung (Priorität {priority}): {title}"
        ),
    },
    "age": {
        "en": Template(
            title="{number} is open since {since}", text="{number} (priority {priority}, {group}) is still {state}. {title}"
        ),
        "de": Template(
            title="{number} ist offen seit {since}",
            text="{number} (Priorität {priority}, {group}) ist noch {state}. {title}",
        ),
    },
    "stall": {
        "en": Template(
            title="{number}: nothing has happened since {since}",
            text="{number} (priority {priority}, {group}) is {state} and nobody has touched it. {title}",
        ),
        "de": Template(
            title="{number}: seit {since} ist nichts geschehen",
            text="{number} (Priorität {priority}, {group}) ist {state}, niemand hat daran gearbeitet. {title}",
        ),
    },
    "approval": {
        "en": Template(
            title="A decision waits since {since}", text="{subject} waits for a decision by {authority}, until {deadline}."
        ),
        "de": Template(
            title="Eine Entscheidung wartet seit {since}",
            text="{subject} wartet auf eine Entscheidung durch {authority}, bis {deadline}.",
        ),
    },
    "integration": {
        "en": Template(
            title="Integration {connection}: {failure}", text="Connection {connection} needs its owner since {since}: {failure}."
        ),
        "de": Template(
            title="Integration {connection}: {failure}",
            text="Verbindung {connection} braucht ihren Verantwortlichen seit {since}: {failure}.",
        ),
    },
    "manual": {
        "en": Template(title="{number} needs you", text="{number}: {comment} {title}"),
        "de": Template(title="{number} braucht Sie", text="{number}: {comment} {title}"),
    },
    "watchdog": {
        "en": Template(
            title="{number}: {policy} waits since {since}",
            text="{number} (priority {priority}, {group}): {failure} {title}",
        ),
        "de": Template(
            title="{number}: {policy} wartet seit {since}",
            text="{number} (Priorität {priority}, {group}): {failure} {title}",
        ),
    },
    "accuracy": {
        "en": Template(
            title="{subject} is only drafted now", text="Alerts {subject} of {service} wait for a person's word: {failure}"
        ),
        "de": Template(
            title="{subject} wird nur noch vorgeschlagen",
            text="Alarme {subject} von {service} warten auf das Wort eines Menschen: {failure}",
        ),
    },
    "digest": {
        "en": Template(title="{count} notifications in one", text="{list}"),
        "de": Template(title="{count} Benachrichtigungen in einer", text="{list}"),
    },
    "test": {
        "en": Template(title="Test message of Isthmus", text="Nothing has happened: this only tries the channel. {comment}"),
        "de": Template(title="Testnachricht von Isthmus", text="Nichts ist geschehen: Das prüft nur den Kanal. {comment}"),
    },
}  # fmt: skip

LABELS: Mapping[str, Mapping[str, str]] = {
    "en": {"acknowledge": "I take it", "open": "Open", "priority": "Priority", "due": "Due", "step": "Step"},
    "de": {"acknowledge": "Ich übernehme", "open": "Öffnen", "priority": "Priorität", "due": "Fällig", "step": "Stufe"},
}  # fmt: skip
"""Words of buttons and facts."""
