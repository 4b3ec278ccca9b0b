"""What a power cut does to a directory that was written under forgetful.c: everything that was not synced is undone, or
some of it.

By hand: python power_cut.py DIRECTORY JOURNAL [SEED]
"""

import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys

SOURCE = pathlib.Path(__file__).with_name("forgetful.c")
CHANGE = struct.Struct("=QQQQQ")
MAGIC = 0x6C6D626B756E646F
PAGE = 4096
# SQLite makes it anew, from the write-ahead log, when nobody has the file open.
FORGOTTEN = "-shm"


def library(directory):
    """forgetful.c, compiled into `directory`."""
    made = pathlib.Path(directory) / "forgetful.so"
    if not made.exists():
        half = made.with_suffix(f".{os.getpid()}")
        flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-U_FORTIFY_SOURCE", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, "-o", str(half), str(SOURCE), "-ldl"], check=True)
        half.rename(made)
    return made


def variables(directory, journal, built, left_alone=(), lies=False):
    """The variables under which a program's changes of `directory` are written down in `journal`, both made here.

    `lies`: as if the disk said it had synced, and had not.
    """
    for each in (directory, journal):
        pathlib.Path(each).mkdir(parents=True, exist_ok=True)
    return {
        **({"FORGETFUL_LIES": "1"} if lies else {}),
        "LD_PRELOAD": str(library(built)),
        "FORGETFUL_DIR": str(pathlib.Path(directory).resolve()),
        "FORGETFUL_JOURNAL": str(pathlib.Path(journal).resolve()),
        "FORGETFUL_EXCEPT": ":".join(left_alone),
    }


def cut(directory, journal, seed=None):
    """Undoes what was not synced, and empties the journal. Answers how many changes of bytes and of names there were.

    `seed=None`: all of it. Else each page has any of the contents that it had since the last sync, each length
    likewise, and of the names the later ones are undone: a disk writes in what order it likes.
    """
    directory, journal = pathlib.Path(directory).resolve(), pathlib.Path(journal).resolve()
    chance = None if seed is None else random.Random(seed)
    names = _undo_names(journal, chance)
    pages = 0
    for file in [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]:
        if file.name.endswith(FORGOTTEN):
            file.unlink()
            continue
        undo = journal / str(file.stat().st_ino)
        if undo.exists():
            pages += _undo_bytes(file, _changes(undo), chance)
    for each in journal.iterdir():
        each.unlink()
    return pages, names


def _undo_names(journal, chance):
    path = journal / "names"
    lines = path.read_text().splitlines() if path.exists() else []
    pending = []
    for line in lines:
        what, one, other, kept, old, new = line.split("\t")
        if what == "sync-all":
            pending = []
        elif what == "sync":
            # A rename between two directories is on disk when both are.
            for each in pending:
                each["open"].discard(one)
            pending = [each for each in pending if each["open"]]
        else:
            pending.append({"what": what, "open": {one, other} - {"0"}, "kept": int(kept), "old": old, "new": new})
    if chance and pending:
        # A file system may bring some of them to disk by itself, the earlier ones first.
        pending = pending[chance.randrange(len(pending) + 1) :]
    for each in reversed(pending):
        old, new = pathlib.Path(each["old"]), pathlib.Path(each["new"])
        kept = journal / f"kept-{each['kept']}"
        if each["what"] == "create":
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
        elif each["what"] == "rmdir":
            old.mkdir(exist_ok=True)
        elif each["what"] == "unlink":
            if each["kept"] and not os.path.lexists(old):
                os.link(kept, old)
        elif each["what"] == "rename":
            if os.path.lexists(new) and not os.path.lexists(old):
                new.rename(old)
            if each["kept"] and not os.path.lexists(new):
                os.link(kept, new)
        else:
            raise ValueError(f"{path}: {each}")
    return len(pending)


def _changes(path):
    """The records of a journal; a last one that was being written is of a change that did not happen."""
    text, at, found = path.read_bytes(), 0, []
    while at + CHANGE.size <= len(text):
        magic, offset, old_size, old_bytes, new_bytes = CHANGE.unpack_from(text, at)
        if magic != MAGIC:
            raise ValueError(f"{path} is no journal at {at}")
        at += CHANGE.size
        if at + old_bytes > len(text):
            break
        found.append((offset, old_size, text[at : at + old_bytes], new_bytes))
        at += old_bytes
    return found


def _undo_bytes(path, changes, chance):
    """From the last change back; a page whose number drawn is higher than a change's keeps what the change wrote."""
    if not changes:
        return 0
    keep_length = chance.randrange(len(changes) + 1) if chance else 0
    keeps = {}

    def keep(page):
        if chance is None:
            return 0
        if page not in keeps:
            keeps[page] = chance.randrange(len(changes) + 1)
        return keeps[page]

    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        length = size
        for number, (offset, old_size, old, new_bytes) in reversed(list(enumerate(changes))):
            if number >= keep_length:
                length = old_size
            # What was beyond the old end was nothing: zeros, where the new length stays.
            end = min(offset + new_bytes, max(size, old_size))
            at = offset
            while at < end:
                page = at // PAGE
                stop = min(end, (page + 1) * PAGE)
                if number >= keep(page):
                    piece = old[at - offset : stop - offset]
                    os.pwrite(file.fileno(), piece.ljust(stop - at, b"\0"), at)
                at = stop
        os.ftruncate(file.fileno(), length)
    return len(changes)


if __name__ == "__main__":
    print(cut(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None))
