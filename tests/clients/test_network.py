"""What a real function reaches by `--network`, through the real binary. Each refused destination with all kinds of worlds around
it is in `crates/sandbox/tests/network`."""

import concurrent.futures
import contextlib
import ctypes
import ipaddress
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading

import pytest

from lambda_client import client, create, invoke
from server import Server, binary, eventually

TRIES = """
const net=require('net');
const tried=([host,port])=>new Promise(done=>{
  const began=Date.now(),s=net.connect({host,port,timeout:4000},()=>{s.destroy();done('reached')});
  s.on('error',e=>done(e.code)).on('timeout',()=>{s.destroy();done('nothing in '+(Date.now()-began)+' ms')});
});
// What the very first line of a function does: its network has to be there.
const first=tried(TO);
const services=()=>new Promise(done=>http.get(process.env.AWS_ENDPOINT_URL_LAMBDA+'/2015-03-31/functions/',r=>done(r.resume().headers['x-amzn-requestid']?'answered':r.statusCode)).on('error',e=>done(e.code)));
exports.handler=async e=>({first:await first,then:await Promise.all(e.map(tried))});
"""


def outer_address():
    """This machine's, as others would call it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # Sends nothing.
        except OSError:
            return None
        return probe.getsockname()[0]


def resolver():
    """Host and port of the host's, where it is another machine that speaks TCP."""
    found = re.search(r"^nameserver\s+([\d.]+)\s*$", pathlib.Path("/etc/resolv.conf").read_text(), re.M)
    if not found or ipaddress.ip_address(found[1]).is_loopback or found[1] == outer_address():
        return None
    try:
        socket.create_connection((found[1], 53), 3).close()
    except OSError:
        return None
    return [found[1], 53]


def needs_slirp4netns():
    if shutil.which("slirp4netns") is None or shutil.which("nft", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        pytest.skip("NOT TESTED: slirp4netns or nft is not installed")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("NOT TESTED: /dev/net/tun is not there for this user")


def test_a_function_reaches_what_it_may_from_its_first_line_on(server, name):
    needs_slirp4netns()
    far = resolver()
    allow = ["--network-allow", far[0]] if far else []
    started = server("--isolation", "auto", "--network", "user", *allow)
    assert "network: user (slirp4netns)" in started.log.read_text()
    lambda_ = client(started.endpoint)
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        refused = [["169.254.169.254", 80], ["198.19.0.2", port]]
        if own := outer_address():
            socket.create_connection((own, port), 3).close()
            refused.append([own, port])
        code = TRIES.replace("TO", f"['{far[0]}',53]" if far else "['169.254.169.254',80]")
        create(lambda_, name, code, Timeout=20)
        answer = invoke(lambda_, name, refused).payload
    assert answer["then"] == ["EHOSTUNREACH"] * len(refused), answer
    if not far:
        pytest.skip("NOT TESTED: reaching anything: the host's resolver is its own or silent")
    assert answer["first"] == "reached"
    # A private address is refused where nobody allows it, and names are asked for elsewhere.
    if ipaddress.ip_address(far[0]).is_private:
        started.stop()
        started = server("--isolation", "auto", "--network", "auto")
        lambda_ = client(started.endpoint)
        create(lambda_, name, code, Timeout=20)
        assert invoke(lambda_, name, [["198.19.0.3", 53]]).payload == {"first": "EHOSTUNREACH", "then": ["reached"]}


def test_a_kill_leaves_no_helper(server, name):
    needs_slirp4netns()
    started = server("--isolation", "auto", "--network", "user")
    lambda_ = client(started.endpoint)
    create(lambda_, name)
    assert invoke(lambda_, name, 1).payload == 1
    started.remember()
    assert any("slirp4netns" in command for command in started.left().values())
    started.kill()
    started.assert_nothing_is_left()


def test_nothing_is_reached_without(server, name):
    started = server("--isolation", "auto", "--network", "none")
    if 'isolation="jail' not in started.log.read_text():
        pytest.skip("NOT TESTED: no jail can be made here")
    lambda_ = client(started.endpoint)
    create(lambda_, name, TRIES.replace("TO", "['192.0.2.1',80]"))
    assert invoke(lambda_, name, [["169.254.169.254", 80]]).payload == {"first": "ENETUNREACH", "then": ["ENETUNREACH"]}


def without_slirp4netns(command):
    """As on a machine where it is not installed."""
    return ["unshare", "-m", "sh", "-c", 'mount --bind /dev/null "$(command -v slirp4netns)" && exec "$0" "$@"', *command]


def test_without_the_program_auto_says_so_and_user_refuses(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: hiding a program needs root")
    needs_slirp4netns()
    with Server(tmp_path / "auto", "--isolation", "auto", wrapper=without_slirp4netns([])) as started:
        said = started.log.read_text()
        assert re.search(r"network: none but their own loopback: the program slirp4netns is missing: install", said), said
    refused = Server(tmp_path / "user", "--network", "user", wrapper=without_slirp4netns([])).command()
    done = subprocess.run(refused, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode not in (0, 101) and "--network user: the program slirp4netns is missing" in done.stderr, done
    doctor = subprocess.run(without_slirp4netns([binary(), "doctor"]), capture_output=True, text=True, timeout=60, check=True)
    assert re.search(r"^--network user +refuses to start: the program slirp4netns is missing: install", doctor.stdout, re.M), doctor


CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
INTERNET, HOST = "198.51.100.1", "192.0.2.2"


def apart(work):
    """Does this in a thread with mounts and a network of its own, and so with what it starts."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter():
        if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        return work()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(enter).result()


@contextlib.contextmanager
def world(directory):
    """A host with a resolver on its loopback, and an internet behind a link, whose one machine says who asks."""
    far = subprocess.Popen(
        [
            *("unshare", "-n", sys.executable, "-c"),
            "import http.server,sys;sys.stdout.write('there\\n');sys.stdout.flush();sys.stdin.readline()\n"
            "class Who(http.server.BaseHTTPRequestHandler):\n"
            " def log_message(self,*_):pass\n"
            " def do_GET(self):\n"
            "  self.send_response(200);self.end_headers();self.wfile.write(self.client_address[0].encode())\n"
            f"http.server.ThreadingHTTPServer(('{INTERNET}',80),Who).serve_forever()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        assert far.stdout.readline() == b"there\n"
        there = ["nsenter", "-t", str(far.pid), "-n"]
        for command in (
            "ip link set lo up",
            f"ip link add up0 type veth peer name down0 netns {far.pid}",
            f"ip address add {HOST}/24 dev up0",
            "ip link set up0 up",
            [*there, *"ip address add 192.0.2.1/24 dev down0".split()],
            [*there, *f"ip address add {INTERNET}/32 dev down0".split()],
            [*there, *"ip link set down0 up".split()],
            "ip route add default via 192.0.2.1",
        ):
            subprocess.run(command.split() if isinstance(command, str) else command, check=True)
        names.bind(("127.0.0.53", 53))
        resolver = directory / "resolv.conf"
        resolver.write_text("nameserver 127.0.0.53\n")
        subprocess.run(["mount", "--bind", str(resolver), "/etc/resolv.conf"], check=True)
        threading.Thread(target=resolve, args=[names], daemon=True).start()
        far.stdin.write(b"go\n")
        far.stdin.flush()
        yield
    finally:
        names.close()
        far.kill()
        far.wait()


def resolve(names):
    """Every name has the one IPv4 address, and an IPv6 address that nothing leads to."""
    while True:
        try:
            question, asker = names.recvfrom(512)
        except OSError:
            return
        end = question.index(0, 12) + 5
        is_v6 = question[end - 3] == 28
        address = ipaddress.ip_address("2001:db8::1" if is_v6 else INTERNET).packed
        header = question[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
        answer = struct.pack(">HHHIH", 0xC00C, 28 if is_v6 else 1, 1, 60, len(address)) + address
        names.sendto(header + question[12:end] + answer, asker)


FETCHES = """
const http=require('http'),net=require('net'),{execFile}=require('child_process');
const get=url=>new Promise(done=>http.get(url,r=>{let s='';r.on('data',d=>s+=d).on('end',()=>done(s))}).on('error',e=>done(e.code)));
const first=get('http://far.test/');
const tried=([host,port])=>new Promise(done=>{const s=net.connect({host,port},()=>{s.destroy();done('reached')});s.on('error',e=>done(e.code))});
const own=()=>new Promise(done=>{const s=http.createServer((_,r)=>r.end('own')).listen(0,()=>get('http://localhost:'+s.address().port).then(t=>{s.close();done(t)}))});
const child=()=>new Promise(done=>execFile(process.execPath,['-e',"require('http').get('http://far.test/',r=>r.on('data',d=>console.log(String(d))))"],(e,out)=>done(e?String(e):out.trim())));
const services=()=>new Promise(done=>http.get(process.env.AWS_ENDPOINT_URL_LAMBDA+'/2015-03-31/functions/',r=>done(r.resume().headers['x-amzn-requestid']?'answered':r.statusCode)).on('error',e=>done(e.code)));
exports.handler=async e=>({first:await first,then:await Promise.all(e.map(tried)),own:await own(),child:await child(),
  many:[...new Set(await Promise.all([...Array(20)].map(()=>get('http://far.test/'))))],
  services:await services()});
"""


def test_a_function_fetches_by_the_host_s_sockets(tmp_path, name):
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: a network for the test needs root")
    doctor = subprocess.run([binary(), "doctor"], capture_output=True, text=True, timeout=60, check=True).stdout
    if not re.search(r"^--network host +starts", doctor, re.M):
        pytest.skip("NOT TESTED: " + re.search(r"^--network host.*", doctor, re.M)[0])

    def fetch():
        with world(tmp_path), Server(tmp_path / "server", "--isolation", "auto", "--network", "host") as started:
            assert "network: host (guarded sockets): the internet by IPv4 and TCP" in started.log.read_text()
            port = int(started.endpoint.rsplit(":", 1)[1])
            socket.create_connection(("127.0.0.1", port), 3).close()
            refused = {(HOST, 80): "EHOSTUNREACH", ("127.0.0.1", port): "ECONNREFUSED", ("169.254.169.254", 80): "EHOSTUNREACH"}
            refused[("2001:db8::1", 80)] = "ENETUNREACH"
            lambda_ = client(started.endpoint)
            for runtime in ("nodejs12.x", "nodejs18.x", "nodejs24.x"):
                function = f"{name}-{runtime.split('.')[0]}"
                create(lambda_, function, FETCHES, runtime=runtime, Timeout=30, MemorySize=512)
                for _ in range(2):
                    answer = invoke(lambda_, function, [list(to) for to in refused]).payload
                    expected = {"first": HOST, "then": list(refused.values()), "own": "own", "child": HOST, "many": [HOST]}
                    assert answer == {**expected, "services": "answered"}, runtime

    apart(fetch)


def no_user_namespaces(*user):
    """A machine, or what a process takes for one, on which no jail can be made."""
    no_more = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" "$@"'
    return ["unshare", "--user", *user, "--keep-caps", "sh", "-c", no_more]


def test_without_jails_root_gets_no_plain_processes_unasked(tmp_path):
    wrapper = no_user_namespaces("--map-root-user")
    refused = Server(tmp_path / "auto", "--isolation", "auto", wrapper=wrapper).command()
    done = subprocess.run(refused, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode not in (0, 101) and "listening on" not in done.stdout, done
    assert "no jail can be made here" in done.stderr and "--isolation process" in done.stderr, done.stderr
    with Server(tmp_path / "process", "--isolation", "process", wrapper=wrapper) as started:
        assert 'isolation="process' in started.log.read_text()


def test_without_jails_an_ordinary_user_is_told(tmp_path):
    with Server(tmp_path / "auto", "--isolation", "auto", wrapper=no_user_namespaces("--map-user=1000")) as started:
        said = started.log.read_text()
        assert "no jail can be made here; functions are plain processes" in said, said
        eventually(lambda: 'isolation="process' in started.log.read_text(), 5, said)
