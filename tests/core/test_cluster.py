"""The private cluster on the machine's real PostgreSQL: it comes up after anything, and goes down.

Each test has a cluster of its own in a temporary folder. Other processes are real ones, since what
is tested is what they leave behind when they are killed.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.core import postgres
from app.core.cluster import Cluster, ClusterFailed, PostgresMissing

ROOT = Path(__file__).resolve().parents[2]

needs_server = pytest.mark.skipif(
    postgres.find() is None, reason="no PostgreSQL server with PostGIS on this machine"
)

# Uses a cluster until its standard input closes, saying when it is up and where.
USER = """
import sys
from pathlib import Path
from app.core.cluster import Cluster
with Cluster(Path(sys.argv[1]), durable=False, say=lambda words: None) as cluster:
    print(cluster.url("postgres"), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that no cluster has used, where every account can walk to."""
    # Not tmp_path: pytest closes its folders to other accounts, such as the one root drops to.
    with tempfile.TemporaryDirectory(prefix="yw-", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o755)
        yield Path(made) / "pg"


def quiet(folder: Path, *, durable: bool = False) -> Cluster:
    return Cluster(folder, durable=durable, say=lambda words: None)


def another_user(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question).fetchone()
    return row[0] if row else None


def postmaster(home: Path) -> int:
    return int((home / "data" / "postmaster.pid").read_text().split("\n", 1)[0])


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    return postgres.command_line(pid) != ""


@needs_server
def test_data_stay_from_one_start_to_the_next(folder):
    with quiet(folder) as cluster:
        url = cluster.create_database("city")
        assert cluster.create_database("city") == url
        ask(url, "SELECT 1 FROM set_config('a.b', 'c', false)")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE EXTENSION postgis")
            connection.execute("CREATE EXTENSION btree_gist")
            connection.execute("CREATE TABLE kept AS SELECT '营维合一' AS word")
        pid = postmaster(cluster.home)
    assert not alive(pid)
    with quiet(folder) as cluster:
        assert ask(cluster.url("city"), "SELECT word FROM kept") == "营维合一"
        copied = cluster.create_database("copied", template="city")
        assert ask(copied, "SELECT ST_AsText(ST_MakePoint(1, 2))") == "POINT(1 2)"
        cluster.drop_database("copied")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(copied)


@needs_server
@pytest.mark.parametrize("durable", [True, False])
def test_only_a_durable_cluster_waits_for_the_disk(folder, durable):
    with quiet(folder, durable=durable) as cluster:
        fsync = ask(cluster.url("postgres"), "SHOW fsync")
        assert ask(cluster.url("postgres"), "SHOW listen_addresses") == ""
        assert ask(cluster.url("postgres"), "SHOW server_encoding") == "UTF8"
    assert fsync == ("on" if durable else "off")


@needs_server
def test_it_starts_again_after_the_server_was_killed(folder):
    with quiet(folder, durable=True) as cluster:
        url = cluster.create_database("city")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        os.kill(postmaster(cluster.home), signal.SIGKILL)
    with quiet(folder, durable=True) as cluster:
        assert ask(cluster.url("city"), "SELECT number FROM kept") == 7


@needs_server
def test_a_server_whose_user_was_killed_is_taken_over_and_stopped(folder):
    with another_user(folder) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()
        killed.kill()
    with quiet(folder) as cluster:
        pid = postmaster(cluster.home)
        assert alive(pid)
    assert not alive(pid)


@needs_server
def test_a_pid_file_that_names_a_stranger_does_not_keep_it_from_starting(folder):
    with quiet(folder) as cluster:
        home = cluster.home
        left = [home / "data" / "postmaster.pid", home / ".s.PGSQL.5432.lock"]
        texts = [path.read_text() for path in left]
    # The machine went down with the server, and the number is somebody else's now: a process of
    # the account that the server runs as, which is the case PostgreSQL itself cannot tell apart.
    owner = home.stat()
    drop = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], cwd="/", **drop) as stranger:  # type: ignore[call-overload]
        for path, text in zip(left, texts, strict=True):
            path.write_text(f"{stranger.pid}\n{text.split(chr(10), 1)[1]}")
            os.chown(path, owner.st_uid, owner.st_gid)
        try:
            with quiet(folder) as cluster:
                assert ask(cluster.url("postgres"), "SELECT 1") == 1
            assert alive(stranger.pid)
        finally:
            stranger.kill()


@needs_server
def test_two_start_at_once_and_the_last_to_leave_stops_it(folder):
    with another_user(folder) as first, another_user(folder) as second:
        assert first.stdout is not None
        assert second.stdout is not None
        urls = [first.stdout.readline().strip(), second.stdout.readline().strip()]
        assert urls[0] == urls[1] != ""
        with quiet(folder) as cluster:
            pid = postmaster(cluster.home)
            first.communicate()
            assert ask(cluster.url("postgres"), "SELECT 1") == 1
        assert alive(pid)
        assert ask(urls[1], "SELECT 1") == 1
        second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert not alive(pid)


@needs_server
def test_ctrl_c_while_it_starts_leaves_no_server(folder):
    with quiet(folder) as cluster:
        home = cluster.home
    with another_user(folder) as interrupted:
        deadline = time.monotonic() + 30
        pid_file = home / "data" / "postmaster.pid"
        while not (pid_file.exists() and pid_file.read_text().count("\n") > 1):
            assert time.monotonic() < deadline, "the server did not begin to start"
            time.sleep(0.001)
        pid = postmaster(home)
        interrupted.send_signal(signal.SIGINT)
    assert interrupted.returncode != 0
    assert not alive(pid)


@needs_server
def test_a_first_start_that_was_killed_is_begun_anew(folder):
    unfinished = folder / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("15\n")
    with quiet(folder) as cluster:
        assert ask(cluster.url("postgres"), "SELECT 1") == 1


@needs_server
@pytest.mark.parametrize("name", ["a checkout's place", "装维", "very-long-" * 12])
def test_any_folder_will_do(folder, name):
    place = folder.with_name(name) / "pg"
    with quiet(place) as cluster:
        url = cluster.url("postgres")
        assert cluster.home == place
        assert ask(url, "SELECT 1") == 1
    socket_folder = Path(url.split("host=")[1].split("&")[0])
    assert not socket_folder.exists(), "a socket folder of its own goes with the server"


@needs_server
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to drop to another account")
def test_as_root_the_data_go_where_the_servers_account_can_reach_them(folder):
    closed = folder.parent
    closed.chmod(0o700)  # as /root is
    try:
        with quiet(folder) as cluster:
            home = cluster.home
            assert not home.is_relative_to(closed)
            assert (folder / "where").read_text().strip() == str(home)
            assert home.stat().st_uid != 0
            assert stat.S_IMODE(home.stat().st_mode) == 0o700
            cluster.create_database("city")
        with quiet(folder) as cluster:
            assert cluster.home == home
            assert ask(cluster.url("city"), "SELECT 1") == 1
    finally:
        shutil.rmtree(home)


@needs_server
def test_a_throw_away_cluster_leaves_nothing():
    with Cluster.throw_away(say=lambda words: None) as cluster:
        home, folder = cluster.home, cluster.folder
        pid = postmaster(home)
        assert ask(cluster.url("postgres"), "SHOW fsync") == "off"
    assert not alive(pid)
    assert not home.exists()
    assert not folder.exists()


@needs_server
def test_data_of_a_server_that_is_gone_are_named(folder):
    with quiet(folder) as cluster:
        version_file = cluster.home / "data" / "PG_VERSION"
    version_file.write_text("9\n")
    with pytest.raises(PostgresMissing, match="made by PostgreSQL 9"), quiet(folder):
        pass


@needs_server
def test_a_broken_cluster_says_where_its_log_is(folder):
    with quiet(folder) as cluster:
        home = cluster.home
    shutil.rmtree(home / "data" / "global")
    with pytest.raises(ClusterFailed, match=r"server\.log"), quiet(folder):
        pass


# Finding and installing: the machine's places and its PATH are replaced by folders of this test,
# and the package manager by a script that notes what it was asked and puts a server in place.


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no server; programs put into the folder `bin` are on its PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(postgres, "HOMES", (f"{tmp_path}/lib/*/bin",))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    # Nothing but this on the PATH, so that no script can reach the real package manager.
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    script(tmp_path / "bin" / "env", "shift", 'exec "$@"')  # env NAME=VALUE program ...
    return tmp_path


def script(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def server_in(machine: Path, version: int, *, postgis: bool) -> Path:
    bindir = machine / "lib" / str(version) / "bin"
    share = machine / "share" / str(version)
    (share / "extension").mkdir(parents=True)
    (share / "extension" / "btree_gist.control").touch()
    if postgis:
        (share / "extension" / "postgis.control").touch()
    script(bindir / "initdb")
    script(bindir / "pg_ctl")
    script(bindir / "postgres", f"echo 'postgres (PostgreSQL) {version}.4 (Debian)'")
    script(bindir / "pg_config", f"echo {share}")
    return bindir


def test_the_newest_server_that_has_postgis_is_taken(bare_machine):
    server_in(bare_machine, 9, postgis=True)
    server_in(bare_machine, 16, postgis=True)
    server_in(bare_machine, 17, postgis=False)
    assert [server.version for server in postgres.installed()] == [17, 16, 9]
    found = postgres.find()
    assert found is not None
    assert found.version == 16
    assert postgres.find(version=17) is None


def test_without_a_package_manager_it_says_what_to_install(bare_machine):
    with pytest.raises(PostgresMissing) as refusal:
        postgres.find_or_install(lambda words: None)
    assert refusal.value.exit_code == 2
    assert "apt-get install postgresql postgresql-postgis" in str(refusal.value)
    assert "brew install postgis" in str(refusal.value)


def test_without_root_and_without_sudo_it_says_what_to_install(bare_machine, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    script(bare_machine / "bin" / "apt-get", "exit 1")
    script(bare_machine / "bin" / "sudo", "echo 'a password is required' >&2; exit 1")
    with pytest.raises(PostgresMissing, match="sudo without a password"):
        postgres.find_or_install(lambda words: None)


@pytest.mark.parametrize(
    ("here", "offered", "asked_for"),
    [
        ([], "", "postgresql postgresql-postgis"),
        ([16], "postgresql-16-postgis-3", "postgresql-16-postgis-3"),
        ([15, 16], "postgresql-15-postgis-3", "postgresql-15-postgis-3"),
        ([16], "", "postgresql postgresql-postgis"),
    ],
)
def test_apt_installs_the_postgis_that_fits_the_server(bare_machine, here, offered, asked_for):
    for version in here:
        server_in(bare_machine, version, postgis=False)
    ready = server_in(bare_machine, 14, postgis=True)
    ready.parent.rename(bare_machine / "packaged")
    log = bare_machine / "asked"
    script(bare_machine / "bin" / "apt-cache", f'[ "$2" = "{offered}" ]')
    script(
        bare_machine / "bin" / "apt-get",
        f'echo "$*" >> {log}',
        f'case "$*" in *install*) /bin/mv {bare_machine}/packaged {bare_machine}/lib/14 ;; esac',
    )
    said: list[str] = []
    assert postgres.find_or_install(said.append).version == 14
    update, install = log.read_text().splitlines()
    assert update.endswith("update")
    assert install.endswith(f"--no-install-recommends {asked_for}")
    assert any(asked_for.replace(" ", " and ") in words for words in said)


def test_a_failed_install_is_told_with_the_package_managers_own_words(bare_machine):
    script(bare_machine / "bin" / "apt-cache", "exit 1")
    script(bare_machine / "bin" / "apt-get", "echo 'E: Unable to locate package' >&2; exit 100")
    with pytest.raises(PostgresMissing, match="Unable to locate package"):
        postgres.find_or_install(lambda words: None)


def test_homebrew_installs_postgis(bare_machine, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    server_in(bare_machine, 17, postgis=True).parent.rename(bare_machine / "packaged")
    script(
        bare_machine / "bin" / "brew",
        f'[ "$*" = "install postgis" ] && /bin/mv {bare_machine}/packaged {bare_machine}/lib/17',
    )
    assert postgres.find_or_install(lambda words: None).version == 17
