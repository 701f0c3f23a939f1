"""What holds for all tests, those of the connectors included."""

from hypothesis import HealthCheck, settings

# How long an example takes is the machine's matter: a test that fails because its host paused says nothing.
settings.register_profile("any_speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_speed")
