"""What each fault of an IMAP server means for us: one place where it becomes an error whose type is the reaction.

The texts name the server and what was asked of it, never the server's words, the account or the password. RFC 5530
gives refusals a code; without one, a refused sign-in is the account's fault, and anything else the folder's.
"""

from __future__ import annotations

import imaplib
import re
import ssl

from imapclient.exceptions import CapabilityError, LoginError

from isthmus.connectors.kit.address_guard import AddressRefusedError
from isthmus.connectors.mail.session import AnswerTooLargeError
from isthmus.kernel.errors import IsthmusError, NeedsOperator, Retryable

_CODE = re.compile(r"\[([A-Z0-9-]+)[ \]]")
_PASSING = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "OVERQUOTA", "EXPUNGEISSUED"})
_HUNG_UP = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""During a handshake too, as a server does that is being restarted: nothing is wrong with its certificate."""
_AGAIN = "It is tried again by itself."


def reaction(fault: Exception, where: str, asked: str) -> IsthmusError:
    """Return the error that calls for the right reaction to `fault`, met while the server was `asked` to do something."""
    # The library says of a connection that breaks while we sign in that the account was refused.
    if isinstance(fault, LoginError) and isinstance(fault.__context__, imaplib.IMAP4.abort):
        fault = fault.__context__
    match fault:
        case IsthmusError():
            return fault
        case AddressRefusedError():
            return NeedsOperator(
                f"{where}: the address is inside a private or local network.",
                remedy="Use a public address, or allow private addresses for this installation.",
            )
        case AnswerTooLargeError():
            return NeedsOperator(
                f"{where} answered with more than was asked for ({asked}).",
                remedy="See whether it is the right server.",
            )
        case ssl.SSLError() if not isinstance(fault, _HUNG_UP):
            return NeedsOperator(
                f"{where}: the TLS certificate is not trusted, or TLS is not spoken there.",
                remedy="Give the issuing authority as imap_ca, or correct imap_port and imap_security.",
            )
        case CapabilityError():
            return NeedsOperator(
                f"{where} cannot do what is asked of it ({asked}).",
                remedy="Set imap_security to tls, or choose another imap_after; streaming needs IDLE.",
            )
        # Before `abort`, whose kind it is in the library.
        case imaplib.IMAP4.readonly():
            return NeedsOperator(
                f"{where} lets the account only read this folder.",
                remedy="Allow it to change the folder, or set imap_after to leave.",
            )
        case imaplib.IMAP4.abort() | OSError():
            return Retryable(f"{where} broke off ({asked}).", remedy=_AGAIN)
        case imaplib.IMAP4.error():
            return _refusal(fault, where, asked)
        case _:
            return Retryable(f"{where} answered what is no IMAP ({asked}).", remedy=_AGAIN)


def _refusal(fault: Exception, where: str, asked: str) -> IsthmusError:
    said = str(fault)
    code = found[1] if (found := _CODE.search(said)) else ""
    if code in _PASSING or "too many" in said.lower():
        return Retryable(f"{where} refuses for now ({asked}).", remedy=_AGAIN)
    if isinstance(fault, LoginError):
        return NeedsOperator(
            f"{where} refuses the account{f' ({code})' if code else ''}.",
            remedy="Renew the connection's imap_user and imap_password; some servers want an application password.",
        )
    if " BAD " in said:
        return Retryable(f"{where} does not understand us ({asked}).", remedy=_AGAIN)
    return NeedsOperator(
        f"{where} refuses: {asked}{f' ({code})' if code else ''}.",
        remedy="Compare the folders and the account's rights with the connection's configuration.",
    )
