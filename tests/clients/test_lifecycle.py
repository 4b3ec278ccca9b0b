"""lambkin starts, stops and dies without losing a function or leaving a process."""

import concurrent.futures
import os
import random
import subprocess
import threading

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from lambda_client import active, client, create, invoke, stopwatch, zipped
from server import START, Server, eventually

BLOCKS = (
    "const fs=require('fs');exports.handler=async e=>{fs.writeFileSync(e.begun,'');"
    "while(!fs.existsSync(e.go))await new Promise(r=>setTimeout(r,10));return 'finished'}"
)
CHILD = (
    "require('child_process').spawn('sleep',['600'],{detached:true,stdio:'ignore'}).unref();"
    "exports.handler=async()=>process.pid"
)


def test_sigterm_lets_a_running_invocation_finish(plain_server, tmp_path):
    running = plain_server()
    lambda_ = client(running.endpoint)
    begun, go = tmp_path / "begun", tmp_path / "go"
    create(lambda_, "slow", BLOCKS, Timeout=60)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(invoke, lambda_, "slow", {"begun": str(begun), "go": str(go)})
        eventually(begun.exists, 30, "the invocation runs")
        running.terminate()

        def refuses():
            try:
                client(running.endpoint, connect_timeout=2).list_functions()
            except (BotoCoreError, ClientError):
                return True

        eventually(refuses, 10, "new requests are refused")
        assert not call.done() and running.process.poll() is None
        go.touch()
        assert call.result(30).payload == "finished"
    assert running.wait() == 0
    running.assert_nothing_is_left()


def test_sigterm_does_not_wait_longer_than_the_grace(plain_server, tmp_path):
    running = plain_server("--grace", "1")
    lambda_ = client(running.endpoint)
    begun = tmp_path / "begun"
    create(lambda_, "endless", BLOCKS, Timeout=600)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(invoke, lambda_, "endless", {"begun": str(begun), "go": str(tmp_path / "never")})
        eventually(begun.exists, 30, "the invocation runs")
        elapsed = stopwatch()
        running.terminate()
        running.wait(20)
        assert elapsed() < 15
        assert call.exception(30) is not None or call.result().error
    running.assert_nothing_is_left()


def test_sigint_is_a_clean_end_too(server):
    running = server()
    running.process.send_signal(2)
    assert running.wait() == 0
    running.assert_nothing_is_left()


def test_kill_9_leaves_no_process(plain_server, tmp_path):
    """Not the functions', not what these started and detached, not lambkin's own helpers."""
    running = plain_server()
    lambda_ = client(running.endpoint)
    create(lambda_, "parent", CHILD)
    create(lambda_, "busy", BLOCKS, Timeout=600)
    create(lambda_, "spinning", f"exports.handler=async()=>{{require('fs').writeFileSync('{tmp_path}/spins','');for(;;);}}", Timeout=600)
    assert invoke(lambda_, "parent").payload
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(invoke, lambda_, "busy", {"begun": str(tmp_path / "begun"), "go": str(tmp_path / "never")}),
            pool.submit(invoke, lambda_, "spinning"),
        ]
        eventually(lambda: (tmp_path / "begun").exists() and (tmp_path / "spins").exists(), 30, "both run")
        # Without the kill they are there, so that the emptiness below means something.
        assert len(running.left()) >= 5, running.left()
        running.kill()
        running.assert_nothing_is_left()
        for call in calls:
            assert call.exception(30) is not None


def test_a_functions_own_children_end_with_its_environment(server):
    running = server()
    lambda_ = client(running.endpoint)
    create(lambda_, "parent", CHILD)
    assert invoke(lambda_, "parent").payload

    def sleepers():
        return [text for text in running.left().values() if text.startswith("sleep")]

    eventually(sleepers, 10, "the child runs")
    lambda_.delete_function(FunctionName="parent")
    eventually(lambda: not sleepers(), 20, "the child has gone")


def test_a_second_lambkin_on_the_same_data_is_refused(server):
    running = server()
    create(client(running.endpoint), "mine")
    second = subprocess.run(running.command(), capture_output=True, text=True, timeout=START, check=False)
    assert second.returncode not in (0, 101) and "listening on" not in second.stdout
    assert str(running.data) in second.stderr and "panic" not in second.stderr, second.stderr
    assert invoke(client(running.endpoint), "mine", 1).payload == 1


def test_functions_outlive_a_restart_and_a_kill(tmp_path):
    first = Server(tmp_path / "lambkin").start()
    lambda_ = client(first.endpoint)
    create(lambda_, "kept", "exports.handler=async()=>process.env.WORD", Environment={"Variables": {"WORD": "1"}}, Timeout=7)
    create(lambda_, "deleted")
    lambda_.delete_function(FunctionName="deleted")
    before = active(lambda_, "kept")
    for end in (Server.stop, Server.kill):
        end(first)
        first.start()
        lambda_ = client(first.endpoint)
        after = active(lambda_, "kept")
        assert {**after, "ResponseMetadata": 0} == {**before, "ResponseMetadata": 0}
        assert invoke(lambda_, "kept").payload == "1"
        assert [f["FunctionName"] for f in lambda_.list_functions()["Functions"]] == ["kept"]
    first.stop()


def test_the_catalog_opens_after_a_kill_at_any_moment(tmp_path):
    """A short chaos: writers create, change and delete without pause; what was answered with success is there."""
    seed = random.randrange(2**32)
    print("seed", seed)
    moments = random.Random(seed)
    server = Server(tmp_path / "lambkin")
    promised = {}
    for round_ in range(6):
        server.start()
        lambda_ = client(server.endpoint)
        listed = {f["FunctionName"]: f for f in lambda_.list_functions()["Functions"]}
        for name, description in promised.items():
            if description is None:
                assert name not in listed, f"{name} was deleted in round {round_}"
            else:
                assert listed[name]["Description"] in description, (round_, name, listed[name], description)
        for name in listed:
            active(lambda_, name, 30)
            assert invoke(lambda_, name, round_).payload == round_
        stop = threading.Event()

        def write(writer):
            turn = 0
            own = client(server.endpoint)
            while not stop.is_set():
                name, turn = f"chaos-{round_}-{writer}", turn + 1
                try:
                    if turn == 1:
                        promised.pop(name, None)
                        create(own, name, Description="0")
                        promised[name] = ["0"]
                    elif writer == 3 and turn == 6:
                        promised.pop(name)
                        own.delete_function(FunctionName=name)
                        promised[name] = None
                        return
                    elif turn % 3:
                        # Whether an unanswered change was made is open: both are right.
                        promised[name] = [promised[name][-1], str(turn)]
                        own.update_function_configuration(FunctionName=name, Description=str(turn))
                        promised[name] = [str(turn)]
                        active(own, name, 30)
                    else:
                        own.update_function_code(FunctionName=name, ZipFile=zipped({"index.js": f"exports.handler=async e=>e//{turn}"}))
                        active(own, name, 30)
                except (BotoCoreError, ClientError, AssertionError):
                    if stop.is_set():
                        return
                    raise

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(write, writer) for writer in range(4)]
            with pytest.raises(subprocess.TimeoutExpired):
                server.process.wait(moments.uniform(0.05, 1.2))
            # From here on errors are what a killed server gives.
            stop.set()
            server.kill()
            for writer in writers:
                writer.result(60)
        server.assert_nothing_is_left()
    server.start().stop()


def test_a_full_disk_is_an_error_and_loses_nothing(plain_server, tmp_path):
    """The data directory is a file system of 40 MB in a mount namespace of the server's own."""
    mount = f"mkdir -p {tmp_path}/lambkin-0/data && mount -t tmpfs -o size=40m tmpfs {tmp_path}/lambkin-0/data"
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*unshare, mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine gives no mount namespace")
    # No jail can be made there.
    running = plain_server(wrapper=[*unshare, mount + ' && exec "$@"', "sh"])
    lambda_ = client(running.endpoint)
    create(lambda_, "small")
    package = zipped({"index.js": "exports.handler=async()=>1", "random": os.urandom(30_000_000)})
    with pytest.raises(ClientError) as caught:
        lambda_.update_function_code(FunctionName="small", ZipFile=package)
    assert caught.value.response["Error"]["Code"] in ("ServiceException", "CodeStorageExceededException"), caught.value
    assert invoke(lambda_, "small", 1).payload == 1
    create(lambda_, "another")
    assert invoke(lambda_, "another", 2).payload == 2


def test_the_port_in_use_is_an_error_with_words(server):
    running = server()
    address = running.endpoint.removeprefix("http://")
    command = [part if part != "127.0.0.1:0" else address for part in running.command()]
    command[command.index(str(running.data))] = str(running.directory / "other")
    second = subprocess.run(command, capture_output=True, text=True, timeout=START, check=False)
    assert second.returncode not in (0, 101) and address in second.stderr, second


def test_beyond_loopback_needs_a_word(server, tmp_path):
    command = [part if part != "127.0.0.1:0" else "0.0.0.0:0" for part in Server(tmp_path / "open").command()]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=START, check=False)
    assert refused.returncode not in (0, 101) and "listening on" not in refused.stdout
    assert "--" in refused.stderr and "panic" not in refused.stderr, refused.stderr
