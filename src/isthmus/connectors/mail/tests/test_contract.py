from pathlib import Path

from isthmus.connectors.kit.conformance import suite

TestContract = suite(Path(__file__).parents[1])
