"""Whether the effect that is asked for may have happened already.

The hub calls a verb again with the same key when the first call had no answer, or when the process died during
it. A connector looks before it repeats such an effect; one whose partner cannot be asked raises `Rejected`
instead, and the hub takes another way. Without a doubt there is nothing to look for, and no request is spent.
"""

from __future__ import annotations

from contextvars import ContextVar

_doubtful: ContextVar[bool] = ContextVar("isthmus_effect_doubtful", default=False)


def raised(*, happened_perhaps: bool) -> None:
    """Say for the current task whether its effect may have happened before."""
    _doubtful.set(happened_perhaps)


def exists() -> bool:
    """Return whether the effect may have happened before."""
    return _doubtful.get()
