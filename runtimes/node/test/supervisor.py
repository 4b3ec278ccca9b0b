"""A small supervisor: starts a bootstrap on a real Node.js binary, sends INVOKE frames, collects what it says.

It speaks docs/channel.md from lambkin's side, takes streamed responses as the Runtime API does, and does nothing else:
no sandbox, no timeouts but its own.
"""
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

NAMES = {0x10: "BOOTED", 0x11: "READY", 0x12: "RESPONSE", 0x13: "ERROR", 0x14: "INIT_ERROR", 0x15: "LOG",
         0x1a: "COMPILE_CACHE"}
LOADED = 0x19
FLAGS = {20: ["--no-experimental-require-module"],
         22: ["--no-experimental-require-module", "--no-experimental-detect-module"]}
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


def generation(major):
    return {4: "g1", 6: "g1", 8: "g1b"}.get(major, "g2" if major < 24 else "g3")


class Frame:
    def __init__(self, kind, body):
        self.kind = NAMES.get(kind, hex(kind))
        self.body = body
        self.text = None
        if self.kind == "ERROR":
            self.handled = body[0]
            body = body[1:]
        if self.kind in ("ERROR", "INIT_ERROR"):
            n = struct.unpack_from("<H", body)[0]
            self.type = body[2:2 + n].decode()
            self.text = body[2 + n:].decode()
        elif self.kind == "LOG":
            self.level, self.json, self.micros = struct.unpack_from("<BBQ", body)
            self.text = body[10:].decode()
        elif self.kind == "COMPILE_CACHE":
            n = struct.unpack_from("<H", body)[0]
            self.name, self.content = body[2:2 + n].decode(), body[2 + n:]
        elif self.kind == "RESPONSE":
            self.text = body.decode()

    @property
    def value(self):
        return json.loads(self.text) if self.text else None

    def __repr__(self):
        extra = f" handled={self.handled}" if self.kind == "ERROR" else ""
        extra += f" type={self.type}" if hasattr(self, "type") else ""
        extra += f" level={self.level} json={self.json}" if self.kind == "LOG" else ""
        shown = repr(self.text if self.text is not None else self.body)
        return f"<{self.kind}{extra} {shown[:600]}>"


class RuntimeApi:
    """Takes posts: one thread for each connection. Nobody reads a body while `reads` is not set."""

    def __init__(self):
        self.reads = threading.Event()
        self.reads.set()
        self.posts = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            try:
                first = lines.readline()
            except OSError:
                return
            if not first:
                return
            post = Post(first.decode().split(" ")[1])
            self.posts.append(post)
            try:
                self.take(post, connection, lines)
            except OSError:
                pass  # It broke off.
            finally:
                post.over.set()

    def take(self, post, connection, lines):
        while (line := lines.readline().strip()):
            name, value = line.decode().split(": ", 1)
            post.headers[name.lower()] = value
        self.reads.wait(10)
        while (size := int(lines.readline().strip() or b"-1", 16)) > 0:
            post.body += lines.read(size)
            lines.readline()
        post.complete = size == 0 and lines.readline() == b"\r\n"
        if post.complete:
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    def close(self):
        # Closing alone wakes nobody.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Post:
    def __init__(self, path):
        self.path, self.headers, self.body, self.complete = path, {}, bytearray(), False
        self.over = threading.Event()


class Process:
    """One execution environment. `files` maps names below the task root to their text."""

    def __init__(self, node, major, bundles, files=None, handler="index.handler", env=None,
                 generic=False, task=None):
        self.major = major
        self.directory = tempfile.mkdtemp(prefix="lambkin-node-")
        self.task = task or os.path.realpath(os.path.join(self.directory, "task"))
        self.runtime = os.path.realpath(os.path.join(self.directory, "runtime"))
        os.makedirs(self.runtime, exist_ok=True)
        self.files = files or {}
        self.api = RuntimeApi()
        with open(os.path.join(self.runtime, "index.js"), "w") as out:
            out.write(bundles[generation(major)])
        variables = {
            "_HANDLER": handler, "LAMBDA_TASK_ROOT": self.task, "LAMBDA_RUNTIME_DIR": self.runtime,
            "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128", "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0", "PATH": os.environ["PATH"], "TZ": ":UTC",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_nodejs{major}.x", "_LAMBDA_TELEMETRY_LOG_FD": "3",
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
        }
        variables.update(env or {})
        self.variables = variables
        # Node's own, which are the same for all functions; none of a function's.
        begins = {"PATH": os.environ["PATH"], "TZ": ":UTC", "LAMBDA_RUNTIME_DIR": self.runtime, "_LAMBKIN_GENERIC": "1"}
        if not generic:
            self.unpack()
        ours, theirs = socket.socketpair()
        self.channel = ours
        self.output, pipe = os.pipe()
        given = begins if generic else variables
        # By env, because the shell adds a variable and changes their order.
        command = ["/usr/bin/env", "-i", *[f"{name}={value}" for name, value in given.items()], node, "--expose-gc"]
        command += ["--max-http-header-size", "81920"] if major >= 10 else []
        command += FLAGS.get(major, [])
        fd = theirs.fileno()

        def attach():
            # Not by a shell: dash knows no descriptor above 9.
            os.set_inheritable(3, True) if fd == 3 else os.dup2(fd, 3)

        self.process = subprocess.Popen(
            command + [os.path.join(self.runtime, "index.js")], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe,
            cwd="/" if generic else self.task, preexec_fn=attach, pass_fds=[3])
        os.close(pipe)
        theirs.close()
        self.inbox = b""
        self.raw = b""
        self.frames = []
        # Apart, as every init says it from Node.js 22 on and few tests are about it.
        self.loaded = []
        self.open = True

    def unpack(self):
        """The function's code: where the process is generic there is none before it is assigned."""
        os.makedirs(self.task, exist_ok=True)
        for name, text in self.files.items():
            path = os.path.join(self.task, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as out:
                out.write(text)

    def assign(self):
        """Makes a generic process this function's."""
        self.unpack()
        text = json.dumps(self.variables).encode()
        self.channel.sendall(struct.pack("<IB", 1 + len(text), 2) + text)

    def invoke(self, payload="{}", **head):
        fields = {"requestId": "id-1", "deadlineMs": int(time.time() * 1000) + 3000, "invokedFunctionArn": ARN,
                  "traceId": "Root=1-2-3"}
        fields.update(head)
        fields = {k: v for k, v in fields.items() if v is not None}
        text = json.dumps(fields).encode()
        body = payload if isinstance(payload, bytes) else payload.encode()
        self.channel.sendall(struct.pack("<IBI", 5 + len(text) + len(body), 1, len(text)) + text + body)

    def pump(self, timeout):
        """Reads what there is; False when both the channel and the output are at their end, or nothing came."""
        sources = ([self.channel] if self.open else []) + ([self.output] if self.output is not None else [])
        if not sources:
            return False
        ready, _, _ = select.select(sources, [], [], timeout)
        for source in ready:
            if source is self.channel:
                try:
                    data = self.channel.recv(1 << 20)
                except ConnectionResetError:
                    data = b""
                self.open = bool(data)
                self.inbox += data
            else:
                data = os.read(self.output, 1 << 20)
                self.raw += data
                if not data:
                    os.close(self.output)
                    self.output = None
        while len(self.inbox) >= 4:
            size = struct.unpack_from("<I", self.inbox)[0]
            if len(self.inbox) < 4 + size:
                break
            kind, body = self.inbox[4], self.inbox[5:4 + size]
            if kind == LOADED:
                self.loaded.append(struct.unpack("<I", body)[0])
            else:
                self.frames.append(Frame(kind, body))
            self.inbox = self.inbox[4 + size:]
        return bool(ready)

    def until(self, kind="READY", timeout=10):
        """Returns the frames up to and with the next one of this kind, or all there were before the end."""
        limit = time.time() + timeout
        while True:
            for i, frame in enumerate(self.frames):
                if frame.kind == kind:
                    taken, self.frames = self.frames[:i + 1], self.frames[i + 1:]
                    # What was written to the output before this frame is in the pipe.
                    while self.output is not None and select.select([self.output], [], [], 0)[0]:
                        if not self.pump(0):
                            break
                    return taken
            if not self.open or time.time() > limit or not self.pump(max(0, limit - time.time())):
                taken, self.frames = self.frames, []
                return taken

    def end(self, timeout=10):
        """Waits for the process to end by itself; returns its exit code (None: it did not)."""
        limit = time.time() + timeout
        while (self.open or self.output is not None) and time.time() < limit:
            if not self.pump(max(0, limit - time.time())):
                break
        try:
            return self.process.wait(max(0.01, limit - time.time()))
        except subprocess.TimeoutExpired:
            return None

    def posted(self):
        """The one post there was, when it is over."""
        (post,) = self.api.posts
        assert post.over.wait(10), "the post is not over"
        return post

    def close(self):
        self.channel.close()
        self.api.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.output is not None:
            os.close(self.output)
            self.output = None
        shutil.rmtree(self.directory, ignore_errors=True)
