"""The ways in for whoever runs the installation."""

import subprocess
import sys

import psycopg
import pytest
from typer.testing import CliRunner

from app.auth import tokens
from app.auth.keys import KeyRing
from app.auth.rules import SCOPES, OrgCodeTaken, Role, ScopeRefused
from app.cli import cli
from app.core.clock import wall
from app.core.errors import Invalid, NotFound
from app.core.settings import Settings
from tests.make.auth import PASSWORD

FIRST = [
    "first-admin",
    "Admin",
    "--org-name-zh",
    "广东",
    "--org-name-en",
    "Guangdong",
    "--org-code",
]


@pytest.fixture
def installation(databases, tmp_path, monkeypatch):
    """A migrated database with nobody in it, and an empty folder for keys, by the environment."""
    with databases.clone() as url:
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("YINGWEI_SIGNING_KEYS", str(tmp_path / "keys"))
        monkeypatch.setenv("YINGWEI_ADMIN_PASSWORD", PASSWORD)
        yield url


def run(*words):
    """Run the command line; what it raises is raised here."""
    answer = CliRunner().invoke(cli, words)
    if answer.exception is not None:
        raise answer.exception
    return answer.output.strip()


def test_an_empty_installation_gets_its_first_administrator(installation):
    assert run(*FIRST, "gd") == "admin can sign in now"
    assert run(*FIRST, "gd") == "admin can sign in now"
    with pytest.raises(OrgCodeTaken):
        run(*FIRST, "gx")
    with psycopg.connect(installation) as connection:
        trail = connection.execute("SELECT action, changes FROM audit_entry").fetchall()
    ((action, changes),) = trail
    assert action == "first_admin"
    assert [change["table"] for change in changes] == ["org_unit", "account"]


def test_it_works_in_a_process_of_its_own(installation):
    """Where nothing else has imported the rooms that an account's foreign keys reach into."""
    ran = subprocess.run(
        [sys.executable, "-m", "app.cli", *FIRST, "gd"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "admin can sign in now\n"), ran.stderr


def test_a_short_password_is_refused(installation, monkeypatch):
    monkeypatch.setenv("YINGWEI_ADMIN_PASSWORD", "short")
    with pytest.raises(Invalid):
        run(*FIRST, "gd")


def test_a_token_from_the_command_line_proves_the_account(installation):
    run(*FIRST, "gd")
    settings = Settings()
    keys = KeyRing.load(settings.signing_keys)
    whole = tokens.proved(keys, settings, run("token", "ADMIN"), wall())
    assert (whole.role, whole.scopes) == (Role.ADMIN, SCOPES[Role.ADMIN])
    narrow = tokens.proved(keys, settings, run("token", "admin", "--scope", "me:read"), wall())
    assert narrow.scopes == {"me:read"}
    with psycopg.connect(installation) as connection:
        query = "SELECT count(*) FROM audit_entry WHERE account_id = %s AND action = %s"
        left = connection.execute(query, [whole.account_id, "command_line_token"]).fetchone()
    assert left == (2,)
    with pytest.raises(NotFound):
        run("token", "nobody")
    with pytest.raises(ScopeRefused):
        run("token", "admin", "--scope", "work:do")
