from __future__ import annotations

import enum
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel import chain
from isthmus.ledger.verify import ed25519

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-(2**63) + 1, 2**63 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=12,
)


def shuffled(value):
    """The same value with every object built in another order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [shuffled(each) for each in value]
    return value


@given(VALUES)
def test_equal_values_have_equal_bytes_and_bytes_give_the_value_back(value):
    assert chain.encode(value) == chain.encode(shuffled(value))
    assert chain.decode(chain.encode(value)) == value


@given(VALUES)
def test_the_bytes_are_what_any_json_library_writes_with_sorted_keys(value):
    expected = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert json.loads(chain.encode(value)) == json.loads(expected)


@given(VALUES, VALUES)
def test_different_values_have_different_bytes(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (chain.encode(one) == chain.encode(other)) == same


@pytest.mark.parametrize(
    "value",
    [1.5, 1.0, float("nan"), b"x", {1: "a"}, {None: 1}, object(), {"a", "b"}, 2**63, "\ud800", [[2.0]]],
)
def test_what_has_no_canonical_bytes_is_refused(value):
    with pytest.raises(chain.NotPlain):
        chain.encode(value)


def test_nesting_has_a_limit():
    value = "x"
    for _ in range(40):
        value = [value]
    with pytest.raises(chain.NotPlain):
        chain.encode(value)


def test_enumerations_and_tuples_take_their_plain_form():
    class State(enum.StrEnum):
        NEW = "new"

    assert chain.encode({"state": State.NEW, "pair": (1, 2)}) == b'{"pair":[1,2],"state":"new"}'


def test_the_chain_is_the_hash_of_link_and_body():
    first, second = chain.extend(chain.GENESIS, [b"a", b"b"])
    assert first == hashlib.sha256(bytes(32) + b"a").digest()
    assert second == hashlib.sha256(first + b"b").digest()


@given(st.lists(st.binary(), min_size=2, max_size=8), st.data())
def test_any_edit_deletion_or_swap_changes_the_last_link(bodies, data):
    end = chain.extend(chain.GENESIS, bodies)[-1]
    i = data.draw(st.integers(0, len(bodies) - 1))
    edited = [*bodies[:i], bodies[i] + b"x", *bodies[i + 1 :]]
    assert chain.extend(chain.GENESIS, edited)[-1] != end
    shorter = bodies[:i] + bodies[i + 1 :]
    assert chain.extend(chain.GENESIS, shorter)[-1] != end
    if bodies[0] != bodies[-1]:
        assert chain.extend(chain.GENESIS, [bodies[-1], *bodies[1:-1], bodies[0]])[-1] != end


# Known tree hashes of Certificate Transparency's own tests (RFC 6962 reference implementation).
LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("size", ROOTS)
def test_trees_match_the_reference_of_rfc_6962(size):
    assert chain.merkle_root(LEAVES[:size]).hex() == ROOTS[size]


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=20), st.data())
def test_every_leaf_can_be_proved_and_no_other(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root = chain.inclusion_proof(leaves, index), chain.merkle_root(leaves)
    assert chain.proves_inclusion(leaves[index], index, len(leaves), path, root)
    assert not chain.proves_inclusion(leaves[index] + b"x", index, len(leaves), path, root)
    assert not chain.proves_inclusion(leaves[index], index, len(leaves), [*path, bytes(32)], root)


@given(st.binary(max_size=64))
def test_our_signature_is_accepted_by_the_independent_verifier_and_a_changed_message_by_none(message):
    key = bytes(range(32))
    signature, public = chain.sign(key, message), chain.public_key(key)
    assert chain.signed_by(public, message, signature)
    assert ed25519.verifies(public, message, signature)
    assert not chain.signed_by(public, message + b"x", signature)
    assert not ed25519.verifies(public, message + b"x", signature)


def test_the_independent_verifier_knows_the_vectors_of_rfc_8032():
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert ed25519.verifies(public, b"\x72", signature)
    assert not ed25519.verifies(public, b"\x73", signature)
    assert not ed25519.verifies(public, b"\x72", signature[:63])
    assert not ed25519.verifies(bytes(32), b"\x72", signature)
    assert not ed25519.verifies(b"\xff" * 32, b"\x72", signature)
