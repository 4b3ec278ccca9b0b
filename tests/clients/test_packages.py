"""Bad deployment packages get AWS's errors, write nothing outside their place, and lose nothing (aws-behaviour 40, 41)."""

import concurrent.futures
import io
import os
import pathlib
import re
import stat
import struct
import sys
import zipfile

import pytest
from botocore.exceptions import ClientError

from lambda_client import ECHO, ROLE, active, client, create, invoke, zipped
from server import eventually

UNZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."
UNZIPPED = "Unzipped size must be smaller than 262144000 bytes"
ZIPPED = "Zipped size must be smaller than 52428800 bytes"
GOOD = zipped({"index.js": ECHO})


def archive(*entries, compression=zipfile.ZIP_DEFLATED):
    """A zip of (name, bytes, mode) as they are, hostile names included."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        for name, content, mode in entries:
            entry = zipfile.ZipInfo("placeholder", (2026, 1, 1, 0, 0, 0))
            entry.filename = name
            entry.create_system = 3
            entry.external_attr = mode << 16
            entry.compress_type = compression
            made.writestr(entry, content)
    return buffer.getvalue()


FILE = stat.S_IFREG | 0o644
LINK = stat.S_IFLNK | 0o777
INDEX = ("index.js", ECHO.encode(), FILE)


def lying(size):
    """A package whose directory says that its file unpacks to `size` bytes."""
    package = bytearray(archive(("big", b"x" * 100_000, FILE)))
    at = package.rindex(b"PK\x01\x02")
    package[at + 24 : at + 28] = struct.pack("<I", size)
    first = package.index(b"PK\x03\x04")
    package[first + 22 : first + 26] = struct.pack("<I", size)
    return bytes(package)


def overlapping():
    """Two entries of the directory that share one file's bytes: unpacks to more than it says in any one place."""
    package = archive(("a", b"x" * 50_000, FILE))
    at = package.rindex(b"PK\x01\x02")
    end = package.rindex(b"PK\x05\x06")
    record = package[at:end]
    tail = bytearray(package[end:])
    count = 40_000
    records = b"".join(record[:46] + record[46 : 46 + struct.unpack("<H", record[28:30])[0]] for _ in range(count))
    tail[8:12] = struct.pack("<HH", count, count)
    tail[12:16] = struct.pack("<I", len(records))
    return package[:at] + records + bytes(tail)


BAD = {
    "text": (lambda: b"this is no zip", UNZIP),
    "truncated-directory": (lambda: GOOD[:-10], UNZIP),
    "truncated-file": (lambda: GOOD[: len(GOOD) // 2], UNZIP),
    "corrupt-bytes": (lambda: GOOD[:40] + b"\xff\xff\xff\xff" + GOOD[44:], UNZIP),
    "parent": (lambda: archive(INDEX, ("../escaped", b"x", FILE)), UNZIP),
    "parent-inside": (lambda: archive(INDEX, ("a/../../escaped", b"x", FILE)), UNZIP),
    "absolute": (lambda: archive(INDEX, ("/tmp/lambkin-escaped", b"x", FILE)), UNZIP),
    "backslash": (lambda: archive(INDEX, ("..\\escaped", b"x", FILE)), UNZIP),
    "link-then-write-through": (lambda: archive(INDEX, ("way", b"../..", LINK), ("way/escaped", b"x", FILE)), UNZIP),
    "absolute-link": (lambda: archive(INDEX, ("way", b"/tmp", LINK), ("way/lambkin-escaped", b"x", FILE)), UNZIP),
    "says-less-than-it-has": (lambda: lying(10), UNZIP),
    "bomb": (lambda: archive(INDEX, ("zeros", b"\0" * 262_144_001, FILE)), UNZIPPED),
    "overlapping-bomb": (lambda: overlapping(), ""),
}


def files_below(*folders):
    return {os.path.join(at, name) for folder in folders for at, _, names in os.walk(folder) for name in names}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_package_is_refused(lambda_, shared, name, kind):
    make, text = BAD[kind]
    package = make()
    with pytest.raises(ClientError) as caught:
        lambda_.create_function(
            FunctionName=name, Runtime="nodejs22.x", Role=ROLE, Handler="index.handler", Code={"ZipFile": package}
        )
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400, response
    assert response["Error"]["Code"] == "InvalidParameterValueException" and text in response["Error"]["Message"], response
    assert not [path for path in files_below(shared.directory) if "escaped" in os.path.basename(path)]
    assert not os.path.exists("/tmp/lambkin-escaped")


def test_a_bad_update_leaves_the_function_as_it_was(lambda_, name):
    create(lambda_, name)
    before = active(lambda_, name)
    for kind in ("text", "parent", "bomb"):
        with pytest.raises(ClientError):
            lambda_.update_function_code(FunctionName=name, ZipFile=BAD[kind][0]())
    after = lambda_.get_function_configuration(FunctionName=name)
    assert (after["CodeSha256"], after["RevisionId"]) == (before["CodeSha256"], before["RevisionId"])
    assert invoke(lambda_, name, 5).payload == 5


def test_a_zip_over_50_mb_is_too_large(lambda_, name):
    # The limits are on the package, not on the request: base64 takes a third more.
    package = archive(INDEX, ("random", os.urandom(52_428_800), FILE), compression=zipfile.ZIP_STORED)
    with pytest.raises(ClientError) as caught:
        lambda_.create_function(
            FunctionName=name, Runtime="nodejs22.x", Role=ROLE, Handler="index.handler", Code={"ZipFile": package}
        )
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 413, response["Error"]
    assert response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert response["Error"]["Message"] in (
        ZIPPED, "Request must be smaller than 70167211 bytes for the CreateFunction operation"
    )


def test_a_million_entries_are_refused(lambda_, name):
    count = 1_000_000
    record = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    body = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    directory = record * count
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(directory), len(body))
    locator = struct.pack("<IIQI", 0x07064B50, 0, len(body) + len(directory), 1)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, len(directory), len(body), 0)
    package = b"".join([body, directory, end64, locator, end])
    assert len(zipfile.ZipFile(io.BytesIO(package)).infolist()) == count
    with pytest.raises(ClientError) as caught:
        lambda_.create_function(
            FunctionName=name, Runtime="nodejs22.x", Role=ROLE, Handler="index.handler", Code={"ZipFile": package}
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 413), caught.value.response


def test_what_a_good_package_may_hold_arrives(lambda_, name):
    """Modes, an inner link, nested folders, an empty file, UTF-8 names, stored and deflated."""
    code = (
        b"const fs=require('fs');exports.handler=async()=>[(fs.statSync('run.sh').mode&0o777).toString(8),"
        b"fs.readFileSync('link','utf8'),fs.readFileSync('a/b/c.txt','utf8'),fs.readFileSync('gr\xc3\xbcn','utf8').length]"
    )
    package = archive(
        ("index.js", code, FILE),
        ("run.sh", b"#!/bin/sh\n", stat.S_IFREG | 0o755),
        ("a/", b"", stat.S_IFDIR | 0o755),
        ("a/b/c.txt", b"deep", FILE),
        ("link", b"a/b/c.txt", LINK),
        ("gr\u00fcn", b"", FILE),
    )
    lambda_.create_function(
        FunctionName=name, Runtime="nodejs22.x", Role=ROLE, Handler="index.handler", Code={"ZipFile": package}
    )
    active(lambda_, name)
    assert invoke(lambda_, name).payload == ["755", "deep", "deep", 0]


def confined(server):
    """What the kernel says of a process that unpacks for this server, as soon as there is one."""

    def look():
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                if b"__unpacker" in (status.parent / "cmdline").read_bytes():
                    fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
                    limits = (status.parent / "limits").read_text()
                    # Before its walls are there it has read nothing.
                    if int(fields["PPid"]) == server.process.pid and fields["Seccomp"].strip() == "2":
                        return fields, limits
            except OSError:
                pass
        return None

    return eventually(look, 60, "something unpacks")


@pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
def test_packages_are_unpacked_by_a_process_without_rights(server, name):
    here = server()
    many = archive(INDEX, *((f"lib/{number % 100}/{number}", b"x" * 4000, FILE) for number in range(30_000)))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        seen = pool.submit(confined, here)
        lambda_ = client(here.endpoint)
        code = {"ZipFile": many}
        lambda_.create_function(FunctionName=name, Runtime="nodejs22.x", Role=ROLE, Handler="index.handler", Code=code)
        fields, limits = seen.result()
    assert (fields["CapEff"], fields["CapPrm"], fields["NoNewPrivs"], fields["Threads"]) == ("0" * 16, "0" * 16, "1", "1")
    assert re.search(r"Max cpu time +120 +120 ", limits) and re.search(r"Max file size +262144000 ", limits), limits
    active(lambda_, name)
    assert invoke(lambda_, name, {"a": 1}).payload == {"a": 1}
