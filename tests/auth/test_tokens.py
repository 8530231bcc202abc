"""Access tokens and signing keys: what proves a caller, and every way known to forge one."""

import base64
import hashlib
import hmac
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from app.auth import keys as keys_module
from app.auth import refresh_tokens, tokens
from app.auth.keys import KeyRing, KeyUnusable, make_key
from app.auth.rules import SCOPES, Caller, Role
from app.core.db import new_id
from app.core.errors import Unauthorized
from app.core.settings import Settings

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
CALLER = Caller(
    account_id=new_id(),
    role=Role.TECHNICIAN,
    org_unit_id=new_id(),
    org_path="gd.sz.",
    technician_id=new_id(),
    scopes=SCOPES[Role.TECHNICIAN],
)


@pytest.fixture
def settings(tmp_path):
    return Settings(signing_keys=tmp_path / "keys")


@pytest.fixture
def ring(settings):
    return KeyRing.load(settings.signing_keys)


def claims(**changed):
    """The claims of an honest token, with some changed or (by None) left out."""
    whole = {
        "iss": "yingwei",
        "aud": tokens.AUDIENCE,
        "sub": str(CALLER.account_id),
        "jti": new_id().hex,
        "iat": int(NOON.timestamp()),
        "exp": int(NOON.timestamp()) + 900,
        "role": "technician",
        "org": str(CALLER.org_unit_id),
        "path": CALLER.org_path,
        "technician": str(CALLER.technician_id),
        "scope": "work:do",
    } | changed
    return {name: value for name, value in whole.items() if value is not None}


def signed(ring, body, *, key=None, key_id=None, algorithm="EdDSA", typ=tokens.KIND):
    own_id, own_key = ring.signing
    headers = {"kid": key_id or own_id, "typ": typ}
    return jwt.encode(body, key or own_key, algorithm=algorithm, headers=headers)


def refused(ring, settings, token, now=NOON):
    with pytest.raises(Unauthorized):
        tokens.proved(ring, settings, token, now)
    return True


# --- honest tokens ----------------------------------------------------------------------------


def test_a_token_says_who_it_was_made_for(ring, settings):
    token = tokens.issue(ring, settings, CALLER, NOON)
    assert tokens.proved(ring, settings, token, NOON) == CALLER
    assert jwt.get_unverified_header(token) == {
        "alg": "EdDSA",
        "typ": "at+jwt",
        "kid": ring.signing[0],
    }


@pytest.mark.parametrize(
    ("seconds_later", "good"),
    [(0, True), (899, True), (959, True), (960, False), (7200, False), (-60, True), (-61, False)],
)
def test_a_token_is_good_for_its_minutes_and_a_minute_of_skew(ring, settings, seconds_later, good):
    """A clock may be a minute off; one that is two hours off is not believed."""
    token = tokens.issue(ring, settings, CALLER, NOON)
    now = NOON + timedelta(seconds=seconds_later)
    if good:
        assert tokens.proved(ring, settings, token, now) == CALLER
    else:
        refused(ring, settings, token, now)


def test_a_remembered_token_expires_like_any_other(ring, settings):
    token = tokens.issue(ring, settings, CALLER, NOON)
    assert tokens.proved(ring, settings, token, NOON) == CALLER
    assert len(ring.proved) == 1
    refused(ring, settings, token, NOON + timedelta(minutes=16))
    assert not ring.proved


def test_no_more_tokens_are_remembered_than_there_is_room_for(ring, settings, monkeypatch):
    monkeypatch.setattr(keys_module, "PROVED_TOKENS", 2)
    first, second, third = (tokens.issue(ring, settings, CALLER, NOON) for _ in range(3))
    for token in (first, second, first, third):
        assert tokens.proved(ring, settings, token, NOON) == CALLER
    # The one not used for longest was forgotten, and is simply proved anew.
    remembered = {hashlib.sha256(token.encode()).digest() for token in (first, third)}
    assert set(ring.proved) == remembered
    assert tokens.proved(ring, settings, second, NOON) == CALLER


def test_a_refused_token_is_not_remembered(ring, settings):
    refused(ring, settings, signed(ring, claims(aud="somebody-else")))
    assert not ring.proved


# --- forged tokens ----------------------------------------------------------------------------


def test_honest_claims_signed_by_hand_are_accepted(ring, settings):
    """Without this the refusals below could all have another cause."""
    assert tokens.proved(ring, settings, signed(ring, claims()), NOON).scopes == {"work:do"}


@pytest.mark.parametrize("name", ["exp", "iat", "sub", "aud", "iss", "jti", "role", "org", "scope"])
def test_a_claim_is_missing(ring, settings, name):
    assert refused(ring, settings, signed(ring, claims(**{name: None})))


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "somebody-else"},
        {"aud": [tokens.AUDIENCE, "somebody-else"]},
        {"iss": "somebody-else"},
        {"exp": int(NOON.timestamp()) - 61},
        {"exp": "never"},
        {"exp": float("inf")},
        {"iat": int(NOON.timestamp()) + 7200},
        {"sub": "root"},
        {"role": "owner"},
        {"scope": ["work:do"]},
    ],
    ids=lambda changed: " ".join(f"{k}={v}" for k, v in changed.items()),
)
def test_a_claim_is_wrong(ring, settings, changed):
    assert refused(ring, settings, signed(ring, claims(**changed)))


def part(value) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_no_signature_at_all(ring, settings, algorithm):
    header = {"alg": algorithm, "typ": tokens.KIND, "kid": ring.signing[0]}
    assert refused(ring, settings, f"{part(header)}.{part(claims())}.")


def public_forms(ring):
    public = ring.signing[1].public_key()
    yield public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    yield ring.jwks()["keys"][0]["x"].encode()


def test_hmac_with_our_public_key_as_the_secret(ring, settings):
    """The classic confusion: everybody knows the public key, so it must never serve as a secret."""
    header = {"alg": "HS256", "typ": tokens.KIND, "kid": ring.signing[0]}
    body = f"{part(header)}.{part(claims())}"
    for secret in public_forms(ring):
        mac = hmac.new(secret, body.encode(), "sha256").digest()
        signature = base64.urlsafe_b64encode(mac).decode().rstrip("=")
        assert refused(ring, settings, f"{body}.{signature}")


def test_another_algorithm_with_a_key_of_its_own(ring, settings):
    key = ec.generate_private_key(ec.SECP256R1())
    assert refused(ring, settings, signed(ring, claims(), key=key, algorithm="ES256"))


def test_somebody_elses_key_under_our_key_id(ring, settings):
    key = ed25519.Ed25519PrivateKey.generate()
    assert refused(ring, settings, signed(ring, claims(), key=key))


@pytest.mark.parametrize("key_id", ["unknown", "../../etc/passwd", "", "a" * 500])
def test_an_unknown_key_id(ring, settings, key_id):
    key = ed25519.Ed25519PrivateKey.generate()
    assert refused(ring, settings, signed(ring, claims(), key=key, key_id=key_id or " "))


def test_a_key_handed_over_in_the_token_itself(ring, settings):
    key = ed25519.Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    own = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    headers = {"kid": ring.signing[0], "typ": tokens.KIND, "jwk": own}
    forged = jwt.encode(claims(), key, algorithm="EdDSA", headers=headers)
    assert refused(ring, settings, forged)


def test_a_token_for_another_purpose(ring, settings):
    assert refused(ring, settings, signed(ring, claims(), typ="JWT"))


def test_a_changed_claim_breaks_the_signature(ring, settings):
    header, _, signature = signed(ring, claims()).split(".")
    assert refused(ring, settings, f"{header}.{part(claims(role='admin'))}.{signature}")


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "x" * 5000, "ÿ.ÿ.ÿ", "🙂", "null", f"{part([])}.{part([])}.AA"]
)
def test_not_a_token(ring, settings, text):
    assert refused(ring, settings, text)


# --- keys -------------------------------------------------------------------------------------


def test_the_first_key_is_made_once_by_many_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: KeyRing.load(tmp_path / "keys"), range(16)))
    assert len({ring.signing[0] for ring in rings}) == 1
    (file,) = (tmp_path / "keys").glob("*.pem")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_newest_key_signs_and_the_older_still_proves(settings, ring):
    old = tokens.issue(ring, settings, CALLER, NOON)
    made = make_key(settings.signing_keys)
    again = KeyRing.load(settings.signing_keys)
    assert again.signing[0] == made
    assert tokens.proved(again, settings, old, NOON) == CALLER
    assert [key["kid"] for key in again.jwks()["keys"]] == [made, ring.signing[0]]


def test_a_key_made_by_another_process_is_found(settings, ring, monkeypatch):
    make_key(settings.signing_keys)
    new = tokens.issue(KeyRing.load(settings.signing_keys), settings, CALLER, NOON)
    # Not at once: invented key ids must not make us read the folder again and again.
    refused(ring, settings, new)
    monkeypatch.setattr(keys_module, "LOOK_AGAIN_SECONDS", 0.0)
    assert tokens.proved(ring, settings, new, NOON) == CALLER


def test_published_keys_are_public_and_prove_our_tokens(settings, ring):
    (published,) = ring.jwks()["keys"]
    assert "d" not in published
    token = tokens.issue(ring, settings, CALLER, NOON)
    options: Any = {"verify_exp": False, "verify_iat": False}
    found = jwt.decode(
        token, jwt.PyJWK(published), algorithms=["EdDSA"], audience=tokens.AUDIENCE, options=options
    )
    assert found["sub"] == str(CALLER.account_id)


@pytest.mark.parametrize("kind", ["not Ed25519", "rubbish", "encrypted"])
def test_an_unusable_key_file_stops_the_start_with_its_name(tmp_path, kind):
    if kind == "not Ed25519":
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    elif kind == "encrypted":
        from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

        pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
    else:
        pem = b"-----BEGIN NOTHING-----"
    (tmp_path / "mine.pem").write_bytes(pem)
    with pytest.raises(KeyUnusable, match=r"mine\.pem"):
        KeyRing.load(tmp_path)


# --- refresh tokens as bytes ------------------------------------------------------------------


def test_refresh_tokens_are_long_and_different():
    made = {refresh_tokens.make() for _ in range(100)}
    assert len(made) == 100
    assert all(len(token) >= 43 for token in made)


def test_a_successor_is_opened_by_its_token_alone():
    token, successor = refresh_tokens.make(), refresh_tokens.make()
    sealed = refresh_tokens.seal(successor, token)
    assert refresh_tokens.unseal(sealed, token) == successor
    assert refresh_tokens.unseal(sealed, refresh_tokens.make()) != successor
    # Nor by what the table holds beside it.
    stored = refresh_tokens.digest(token)
    assert stored is not None
    opened = bytes(a ^ b for a, b in zip(sealed, stored, strict=True))
    assert hashlib.sha256(opened).digest() != refresh_tokens.digest(successor)


@pytest.mark.parametrize("text", ["", "yr_", "yr_AAAA", "🙂", "9af2c3aa457a299b", "yr_" + "A" * 44])
def test_what_cannot_be_a_refresh_token_has_no_digest(text):
    assert refresh_tokens.digest(text) is None
