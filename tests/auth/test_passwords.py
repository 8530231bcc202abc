"""Passwords as the product keeps them, dear to guess."""

from tests.conftest import REAL_ARGON2


def test_a_hash_is_argon2id_with_what_is_recommended_at_least():
    """RFC 9106 section 4, its second recommendation: 64 MiB, three passes."""
    kept = REAL_ARGON2.hash("correct horse battery staple")
    _, kind, version, costs, *_ = kept.split("$")
    memory, passes, _ = (int(cost.partition("=")[2]) for cost in costs.split(","))
    assert (kind, version) == ("argon2id", "v=19")
    assert memory >= 64 * 1024
    assert passes >= 3
    assert REAL_ARGON2.verify("correct horse battery staple", kept)
    assert not REAL_ARGON2.verify("correct horse battery stapled", kept)
