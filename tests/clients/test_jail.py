"""The rows of the attack list that need Node.js: a hostile function in a jail against the real binary, as root and as an
ordinary user. The other rows are `crates/sandbox/tests/jail`.
"""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import tempfile

import pytest

import kept
from lambda_client import active, client, create, invoke, stopwatch
from server import Server, eventually

RUNTIMES = "nodejs4.3 nodejs6.10 nodejs8.10 nodejs10.x nodejs12.x nodejs14.x nodejs16.x nodejs18.x nodejs20.x nodejs22.x nodejs24.x nodejs26.x".split()
USER = 65534
IS_ROOT = os.geteuid() == 0


def for_user(directory):
    """A directory of the ordinary user's, with a cache of its own: root's is closed to it."""
    cache = pathlib.Path(os.environ.get("LAMBKIN_RUNTIMES") or pathlib.Path.home() / ".cache/lambkin/runtimes")
    for node in (cache / "node").glob("22.*"):
        shutil.copytree(node, directory / "runtimes/node" / node.name, symlinks=True)
    for path in [directory, *directory.rglob("*")]:
        os.chown(path, USER, USER, follow_symlinks=False)
    wrapper = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    variables = {"PATH": os.environ["PATH"], "HOME": str(directory)}
    return Server(directory, "--isolation", "auto", "--runtimes", str(directory / "runtimes"), wrapper=wrapper, variables=variables)


@pytest.fixture(scope="module", params=["root", "ordinary user"] if IS_ROOT else ["ordinary user"])
def jails(request):
    """A server whose functions are in jails, which it has to say itself."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="lambkin-jail-"))
    directory.chmod(0o755)
    is_other = IS_ROOT and request.param != "root"
    server = for_user(directory) if is_other else Server(directory, "--isolation", "auto")
    try:
        with server:
            said = server.log.read_text()
            assert re.search(r"\bjail \(", said), f"no jail on this machine: {said[-500:]}"
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def lambda_(jails):
    return client(jails.endpoint)


TICKS = """
var fs = require('fs'), cp = require('child_process'), ticks = 0, cell = null;
setInterval(function () { ticks++; }, 1);
try {
  var Worker = require('worker_threads').Worker;
  cell = new Int32Array(new SharedArrayBuffer(4));
  new Worker("const c = new Int32Array(require('worker_threads').workerData); setInterval(() => c[0]++, 1)",
             { eval: true, workerData: cell.buffer });
} catch (e) { }
var file = require('os').tmpdir() + '/ticks';
fs.writeFileSync(file, '');
cp.spawn(process.execPath, ['-e', "setInterval(function () { require('fs').appendFileSync('" + file + "', 'x'); }, 1)"]);
function now() {
  var all = { timer: ticks, child: fs.statSync(file).size };
  if (cell) all.worker = cell[0];
  return all;
}
// Node.js 4 and 6 have no promises here, 24 has no callbacks.
exports.handler = /^v[46]/.test(process.version) ? function (event, context, callback) {
  context.callbackWaitsForEmptyEventLoop = false;
  tick(event, callback);
} : function (event) {
  return new Promise(function (resolve) { tick(event, function (_, value) { resolve(value); }); });
};
function tick(event, callback) {
  var begin = now();
  (function wait() {
    var end = now();
    if (Object.keys(end).every(function (key) { return end[key] >= begin[key] + event.ticks; }))
      return callback(null, { begin: begin, end: now(), worker: !!cell });
    setTimeout(wait, 1);
  })();
}
"""
PAUSE = 1.5
"""Seconds; who is not frozen ticks a thousand times meanwhile."""
FROZEN = 300
"""Ticks; it takes some until who freezes gets a processor, on a machine that has none to spare."""


def between_invocations(lambda_, name):
    """What ticked while nothing was invoked, each having ticked before and after."""
    first = invoke(lambda_, name, {"ticks": 30}).payload
    waited = stopwatch()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(eventually, lambda: waited() > PAUSE, PAUSE + 10, "the pause").result()
    second = invoke(lambda_, name, {"ticks": 30}).payload
    return {key: second["begin"][key] - first["end"][key] for key in first["end"]}, first["worker"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_timer_worker_and_child_stand_still_between_invocations(jails, lambda_, name, runtime):
    if jails.wrapper and runtime != "nodejs22.x":
        pytest.skip("as an ordinary user on one generation")
    create(lambda_, name, TICKS, runtime=runtime, Timeout=60, MemorySize=1769)
    between, has_worker = between_invocations(lambda_, name)
    assert has_worker == (runtime not in ("nodejs4.3", "nodejs6.10", "nodejs8.10", "nodejs10.x"))
    assert all(ticks < FROZEN for ticks in between.values()), between


def test_worker_and_child_go_on_in_plain_processes(plain, name):
    """What shows that the test above could fail."""
    create(plain, name, TICKS, Timeout=60, MemorySize=1769)
    between, _ = between_invocations(plain, name)
    assert between["worker"] > FROZEN and between["child"] > FROZEN, between


# Each does its worst when the event says so, and is a good function otherwise.
FRAME = "const fs=require('fs');const f=(k,b)=>{const h=Buffer.alloc(5);h.writeUInt32LE(b.length+1);h[4]=k;return Buffer.concat([h,b])};"
HOSTILE = {
    "garbage": "fs.writeSync(3,Buffer.alloc(100000,0xff))",
    "an endless frame": "{const h=Buffer.alloc(5);h.writeUInt32LE(0xffffffff);h[4]=0x12;fs.writeSync(3,h)}",
    "a frame of nothing": "fs.writeSync(3,Buffer.alloc(4))",
    "an unknown kind": "fs.writeSync(3,f(0x77,Buffer.from('x')))",
    "a closed channel": "fs.closeSync(3)",
    "all closed": "for(let i=0;i<64;i++)try{fs.closeSync(i)}catch(e){}",
    "a response with a length too long": "fs.writeSync(3,Buffer.concat([f(0x12,Buffer.from('1')).subarray(0,4),Buffer.alloc(9,7)]))",
    "half a frame": "fs.writeSync(3,f(0x12,Buffer.alloc(1000)).subarray(0,500));process.exit(0)",
    "a frame of no kind": "fs.writeSync(3,f(0x16,Buffer.from('text/plain')));process.exit(0)",
    "a worker that stops the process": "process.kill(process.pid,'SIGSTOP')",
    "a busy loop": "process.on('SIGTERM',()=>{});for(;;);",
    "SIGTERM ignored": "process.on('SIGTERM',()=>{});await new Promise(()=>setInterval(()=>{},1000))",
    "memory": "const all=[];for(;;)all.push(Buffer.alloc(1<<20,1))",
    "workers": "const{Worker}=require('worker_threads');for(;;){new Worker('setInterval(()=>{},1)',{eval:true});await 0}",
    "children": "const cp=require('child_process');for(;;){cp.spawn('sleep',['60']);await 0}",
    "crash": "process.abort()",
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_process_is_an_error_and_the_next_one_is_not(lambda_, name, attack):
    code = f"{FRAME}exports.handler=async e=>{{if(e.attack){{{HOSTILE[attack]};await new Promise(r=>setTimeout(r,60000))}}return e}}"
    create(lambda_, name, code, Timeout=3, MemorySize=256)
    neighbour = f"{name}-n"
    create(lambda_, neighbour)
    assert invoke(lambda_, name, {"a": 1}).payload == {"a": 1}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        elapsed = stopwatch()
        attacked = pool.submit(invoke, lambda_, name, {"attack": True})
        answers = 0
        # Some attacks are over at once.
        while answers == 0 or not attacked.done():
            assert invoke(lambda_, neighbour, {"n": answers}).payload == {"n": answers}
            answers += 1
        answer = attacked.result()
    assert elapsed() < 20
    assert answer.status == 200 and answer.error == "Unhandled", answer
    assert re.search("timed out|Runtime\\.|OutOfMemory|Error", json.dumps(answer.payload)), answer
    assert invoke(lambda_, name, {"a": 2}).payload == {"a": 2}


def test_forged_frames_answer_nothing_but_the_own_invocation(lambda_, name):
    """A second answer, one for an invocation that is over, and a READY that is not."""
    code = FRAME + (
        "exports.handler=async e=>{if(e.twice){fs.writeSync(3,Buffer.concat([f(0x12,Buffer.from('\"forged\"')),f(0x12,Buffer.from('\"again\"'))]))}"
        "if(e.late)setTimeout(()=>fs.writeSync(3,f(0x12,Buffer.from('\"late\"'))),0);return e}"
    )
    create(lambda_, name, code)
    # What a process says is its own function's answer, whoever in it says so.
    assert invoke(lambda_, name, {"twice": 1}).payload == "forged"
    for number in range(5):
        answer = invoke(lambda_, name, {"late": number})
        assert answer.payload == {"late": number}
        # What came late is nobody's answer, or that of the one invocation it met; never a later one's.
        met = invoke(lambda_, name, {"n": number})
        assert met.payload in ({"n": number}, "late"), met
    assert invoke(lambda_, name, {"n": "last"}).payload in ({"n": "last"}, "late")
    assert invoke(lambda_, name, {"n": "very last"}).payload == {"n": "very last"}


def test_huge_response_is_cut(lambda_, name):
    code = FRAME + "exports.handler=async e=>e.raw?(fs.writeSync(3,f(0x12,Buffer.alloc(7e6,0x31))),1):e.mb?'x'.repeat(e.mb<<20):e"
    create(lambda_, name, code, Timeout=30, MemorySize=1024)
    assert invoke(lambda_, name, {"mb": 64}).payload["errorType"] == "Function.ResponseSizeTooLarge"
    assert invoke(lambda_, name, {"a": 1}).payload == {"a": 1}
    assert invoke(lambda_, name, {"raw": 1}).error == "Unhandled"
    assert invoke(lambda_, name, {"a": 2}).payload == {"a": 2}


def test_endless_init_ends(lambda_, name):
    create(lambda_, name, "process.on('SIGTERM',()=>{});for(;;);", Timeout=3)
    elapsed = stopwatch()
    answer = invoke(lambda_, name)
    assert answer.error == "Unhandled" and "timed out" in answer.payload["errorMessage"], answer
    # Ten seconds of init, then once more within the invocation.
    assert elapsed() < 25


FILL = """
const fs=require('fs');
exports.handler=async({mb})=>{
  const file=fs.openSync('/tmp/file','w'),piece=Buffer.alloc(1<<20,1);
  let written=0;
  try{for(;written<mb;written++)fs.writeSync(file,piece)}catch(error){return error.code}finally{fs.closeSync(file);fs.unlinkSync('/tmp/file')}
  return written
};
"""


def test_tmp_has_the_size_that_the_function_asks_for(lambda_, name):
    create(lambda_, name, FILL, Timeout=60, MemorySize=512)
    assert invoke(lambda_, name, {"mb": 530}).payload == "ENOSPC"
    answer = lambda_.update_function_configuration(FunctionName=name, EphemeralStorage={"Size": 600})
    assert answer["EphemeralStorage"] == {"Size": 600}
    active(lambda_, name)
    # Full is no fault, and what is deleted is free again.
    for mb, expected in [(530, 530), (700, "ENOSPC"), (530, 530)]:
        assert invoke(lambda_, name, {"mb": mb}).payload == expected
    other = f"{name}-c"
    create(lambda_, other, FILL, Timeout=60, MemorySize=512, EphemeralStorage={"Size": 600})
    assert invoke(lambda_, other, {"mb": 530}).payload == 530
    with pytest.raises(lambda_.exceptions.ClientError, match="Value '10241' at 'ephemeralStorage.size' failed to satisfy constraint: Member must have value less than or equal to 10240"):
        lambda_.update_function_configuration(FunctionName=name, EphemeralStorage={"Size": 10241})


def resident_peak(server):
    """Most memory that lambkin itself has had, in MB."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


@pytest.mark.parametrize("how", ["console", "raw", "child"])
def test_log_flood_slows_the_function_and_loses_nothing(jails, lambda_, name, how):
    lines, width = 40_000, 1500
    write = {
        "console": "console.log(i+' '+x)",
        "raw": "fs.writeSync(1,i+' '+x+'\\n')",
        "child": "if(!i)require('child_process').execFileSync('sh',['-c',`i=0;while [ $i -lt ${n} ];do echo \"$i ${x}\";i=$((i+1));done`],{stdio:'inherit'})",
    }[how]
    code = f"const fs=require('fs');exports.handler=async()=>{{const x='x'.repeat({width}),n={lines};for(let i=0;i<n;i++){{{write}}}return 'done'}}"
    create(lambda_, name, code, Timeout=120, MemorySize=512)
    before = resident_peak(jails)
    assert invoke(lambda_, name).payload == "done"
    grown = resident_peak(jails) - before

    def numbers():
        text = kept.text(jails, f"/aws/lambda/{name}")
        return [int(number) for number in re.findall(r"(?:^|\t)(\d+) x{%d}$" % width, text, re.M)]

    eventually(lambda: len(numbers()) >= lines, 30, "all lines are kept")
    assert numbers() == list(range(lines))
    # 60 MB went through. The queue before the log's writer holds 16 MiB, and what is around it was seen to make 28 of that.
    assert grown < 45, f"lambkin grew by {grown} MB"
