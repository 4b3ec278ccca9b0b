"""The layer that forgets, itself: it must lose what was not synced, keep what was, and be able to convict a program that
does not sync. Without that, nothing that survives under it would be shown by surviving.
"""

import os
import signal
import sqlite3
import subprocess
import sys

import pytest

import power_cut


@pytest.fixture
def places(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    return data, tmp_path / "journal", tmp_path


def run_and_cut(places, program, seed=None):
    """Runs Python in the directory until it kills itself, and cuts the power. What it said is the answer."""
    data, journal, built = places
    variables = {**os.environ, **power_cut.variables(data, journal, built, left_alone=["alone"])}
    program = "import os, signal\n" + program + "\nos.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", program], env=variables, cwd=data, capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    power_cut.cut(data, journal, seed)
    return done.stdout.decode()


def contents(data):
    return {str(path.relative_to(data)): path.read_text() for path in sorted(data.rglob("*")) if path.is_file()}


FILE = "file = os.open('old', os.O_RDWR)\n"
DIRECTORY = "directory = os.open('.', os.O_RDONLY)\n"
SYNC_NAMES = "os.fsync(directory)\n"

BYTES = [
    ("overwritten", "os.pwrite(file, b'XY', 2)", "01XY456789"),
    ("appended", "os.lseek(file, 0, os.SEEK_END); os.write(file, b'XY')", "0123456789XY"),
    ("written over the end", "os.pwrite(file, b'VWXY', 8)", "01234567VWXY"),
    ("written in parts", "os.pwritev(file, [b'X', b'Y'], 0)", "XY23456789"),
    ("cut", "os.ftruncate(file, 3)", "012"),
    ("cut and written anew", "os.ftruncate(file, 0); os.write(file, b'X')", "X"),
    ("cut when opened", "os.write(os.open('old', os.O_WRONLY | os.O_TRUNC), b'X')", "X"),
    ("grown", "os.posix_fallocate(file, 0, 12)", "0123456789\0\0"),
    ("opened for appending", "os.write(os.open('old', os.O_WRONLY | os.O_APPEND), b'X')", "0123456789X"),
]


@pytest.mark.parametrize("change, after", [row[1:] for row in BYTES], ids=[row[0] for row in BYTES])
@pytest.mark.parametrize("sync", ["os.fsync(file)", "os.fdatasync(file)", "os.sync()", None])
def test_bytes_are_kept_by_a_sync_and_lost_without(places, change, after, sync):
    (places[0] / "old").write_text("0123456789")
    run_and_cut(places, FILE + change + "\n" + (sync or ""))
    assert contents(places[0]) == {"old": after if sync else "0123456789"}


def test_only_what_came_after_the_sync_is_lost(places):
    (places[0] / "old").write_text("0123456789")
    run_and_cut(places, FILE + "os.pwrite(file, b'A', 0); os.fsync(file); os.pwrite(file, b'BB', 0); os.pwrite(file, b'C', 1)")
    assert contents(places[0]) == {"old": "A123456789"}


NAMES = [
    ("created", "os.close(os.open('new', os.O_CREAT | os.O_WRONLY))", {"new": ""}),
    ("removed", "os.unlink('old')", {"old": None}),
    ("renamed", "os.rename('old', 'new')", {"old": None, "new": "old"}),
    ("renamed over another", "os.rename('old', 'other')", {"old": None, "other": "old"}),
    ("linked", "os.link('old', 'new')", {"new": "old"}),
    ("removed and created anew", "os.unlink('old'); os.close(os.open('old', os.O_CREAT | os.O_WRONLY))", {"old": ""}),
    ("a directory removed", "os.rmdir('empty')", {}),
]


@pytest.mark.parametrize("change, after", [row[1:] for row in NAMES], ids=[row[0] for row in NAMES])
@pytest.mark.parametrize("synced", [True, False])
def test_names_are_kept_by_a_sync_of_their_directory_and_lost_without(places, change, after, synced):
    data = places[0]
    before = {"old": "old", "other": "other"}
    for name, text in before.items():
        (data / name).write_text(text)
    (data / "empty").mkdir()
    run_and_cut(places, DIRECTORY + change + "\n" + (SYNC_NAMES if synced else ""))
    expected = {name: text for name, text in {**before, **after}.items() if text is not None} if synced else before
    assert contents(data) == expected
    assert (data / "empty").is_dir() == (not synced or "rmdir" not in change)


def test_a_synced_file_without_its_name_is_lost(places):
    run_and_cut(places, "file = os.open('new', os.O_CREAT | os.O_RDWR); os.write(file, b'x'); os.fsync(file)")
    assert contents(places[0]) == {}


def test_what_is_left_alone_stays(places):
    (places[0] / "alone").mkdir()
    run_and_cut(places, "os.write(os.open('alone/file', os.O_CREAT | os.O_WRONLY), b'x')")
    assert contents(places[0]) == {"alone/file": "x"}


COMMITS = """
import sqlite3
database = sqlite3.connect('database', isolation_level=None)
database.execute('PRAGMA journal_mode = WAL')
database.execute('PRAGMA synchronous = {synchronous}')
database.execute('PRAGMA wal_autocheckpoint = 7')
database.execute('CREATE TABLE numbers (number INTEGER, filling BLOB)')
for number in range(40):
    database.execute('INSERT INTO numbers VALUES (?, randomblob(3000))', (number,))
    print(number, flush=True)
"""


def commits(places, synchronous, seed):
    """Which commits are there, of the 40 that were acknowledged; none of a damaged file."""
    said = run_and_cut(places, COMMITS.format(synchronous=synchronous), seed)
    assert said.split() == [str(number) for number in range(40)]
    database = sqlite3.connect(places[0] / "database")
    try:
        if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            return None
        return [number for (number,) in database.execute("SELECT number FROM numbers ORDER BY rowid")]
    except sqlite3.DatabaseError:
        return None
    finally:
        database.close()


@pytest.mark.parametrize("seed", [None, *range(8)])
def test_sqlite_that_syncs_each_commit_keeps_all(places, seed):
    assert commits(places, "FULL", seed) == list(range(40))


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_sqlite_that_does_not_sync_each_commit_is_convicted(places, synchronous):
    """A probe of the probe: the same program, but OFF never syncs, and NORMAL at checkpoints alone."""
    there = commits(places, synchronous, None)
    assert there is None or len(there) < 40
