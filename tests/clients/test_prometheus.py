"""`/metrics` as Prometheus reads it: every metric that is promised, of the kind and with the labels that dashboards are built on, and
with the values of traffic that is known."""

import collections
import gzip
import json
import re
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError

import keys
import sqs_client
from exposition import parse, scrape
from lambda_client import arn, client, create, invoke
from server import ROOT, Server, binary, eventually
from test_tls import certificate

DASHBOARD = ROOT / "docs" / "grafana.json"

FAILS = """exports.handler = async (event) => {
  if (event.fail) throw new Error('no');
  if (event.wait) await new Promise((done) => setTimeout(done, event.wait));
};"""

OF_FUNCTION = ("function",)

# Name: kind, labels. What is not here is not served, and what is here is always served once a function was invoked, had an event and
# keeps an environment, and a queue was made.
EXPECTED = {
    # Runs.
    "lambkin_invocations_total": ("counter", OF_FUNCTION),
    "lambkin_errors_total": ("counter", OF_FUNCTION),
    "lambkin_throttles_total": ("counter", OF_FUNCTION),
    "lambkin_duration_seconds": ("histogram", OF_FUNCTION),
    "lambkin_concurrent_executions": ("gauge", OF_FUNCTION),
    "lambkin_concurrency_limit": ("gauge", ()),
    "lambkin_concurrency_unreserved": ("gauge", ()),
    "lambkin_functions": ("gauge", ()),
    # Environments.
    "lambkin_environments": ("gauge", ("function", "state")),
    "lambkin_environments_memory_bytes": ("gauge", OF_FUNCTION),
    "lambkin_cold_starts_total": ("counter", ("function", "level")),
    "lambkin_warm_starts_total": ("counter", OF_FUNCTION),
    "lambkin_provisioned_concurrency": ("gauge", OF_FUNCTION),
    "lambkin_provisioned_starts_total": ("counter", OF_FUNCTION),
    "lambkin_inits_running": ("gauge", ()),
    "lambkin_inits_limit": ("gauge", ()),
    "lambkin_memory_used_bytes": ("gauge", ()),
    "lambkin_memory_limit_bytes": ("gauge", ()),
    # Events.
    "lambkin_events_waiting": ("gauge", OF_FUNCTION),
    "lambkin_events_in_flight": ("gauge", OF_FUNCTION),
    "lambkin_events_delayed": ("gauge", OF_FUNCTION),
    "lambkin_events_oldest_seconds": ("gauge", OF_FUNCTION),
    "lambkin_events_running": ("gauge", OF_FUNCTION),
    "lambkin_events_age_seconds": ("histogram", OF_FUNCTION),
    "lambkin_deliveries_waiting": ("gauge", OF_FUNCTION),
    "lambkin_deliveries_failed_total": ("counter", OF_FUNCTION),
    **{
        f"lambkin_events_{what}_total": ("counter", OF_FUNCTION)
        for what in ("received", "succeeded", "retried", "throttled", "dropped", "dead_lettered", "recorded", "recursive")
    },
    # Queues and topics.
    **{f"lambkin_sqs_{what}": ("gauge", ("queue",)) for what in ("messages_visible", "messages_in_flight", "messages_delayed", "oldest_seconds")},
    "lambkin_outbound_waiting": ("gauge", ()),
    "lambkin_outbound_sent_total": ("counter", ()),
    "lambkin_outbound_retried_total": ("counter", ()),
    "lambkin_outbound_given_up_total": ("counter", ()),
    "lambkin_sns_notifications_lost_total": ("counter", ()),
    # Stores.
    "lambkin_logs_written_events_total": ("counter", ()),
    "lambkin_logs_written_bytes_total": ("counter", ()),
    "lambkin_logs_dropped_events_total": ("counter", ("reason",)),
    "lambkin_logs_bytes": ("gauge", ()),
    "lambkin_logs_limit_bytes": ("gauge", ()),
    "lambkin_logs_groups": ("gauge", ()),
    "lambkin_logs_followers": ("gauge", ()),
    "lambkin_logs_queue_bytes": ("gauge", ()),
    "lambkin_logs_queue_limit_bytes": ("gauge", ()),
    "lambkin_logs_queue_waits_total": ("counter", ()),
    "lambkin_metrics_bytes": ("gauge", ()),
    "lambkin_metrics_limit_bytes": ("gauge", ()),
    "lambkin_metrics_series": ("gauge", ()),
    "lambkin_store_bytes": ("gauge", ("store",)),
    # lambkin itself.
    "lambkin_build_info": ("gauge", ("version", "isolation")),
    "lambkin_uptime_seconds": ("gauge", ()),
    "process_start_time_seconds": ("gauge", ()),
    "process_cpu_seconds_total": ("counter", ()),
    "process_resident_memory_bytes": ("gauge", ()),
    "process_virtual_memory_bytes": ("gauge", ()),
    "process_open_fds": ("gauge", ()),
    "process_max_fds": ("gauge", ()),
}

# Where processes are booted ahead: in jails.
POOL = {
    "lambkin_pool_limit": ("gauge", ()),
    "lambkin_pool_memory_bytes": ("gauge", ()),
    "lambkin_pool_processes": ("gauge", ("runtime", "memory_mb")),
    "lambkin_pool_hits_total": ("counter", ("runtime", "memory_mb")),
    "lambkin_pool_misses_total": ("counter", ("runtime", "memory_mb")),
}

Expected = collections.namedtuple("Expected", "kind labels")

# Labels that Prometheus adds.
BY_PROMETHEUS = ("instance", "job")


def used(server, name):
    """A server with one of everything that has figures."""
    lambda_ = client(server.endpoint)
    create(lambda_, name, FAILS)
    lambda_.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    for event in ({}, {}, {}, {"fail": True}, {"wait": 300}):
        invoke(lambda_, name, event)
    invoke(lambda_, name, InvocationType="Event")
    lambda_.publish_version(FunctionName=name)
    lambda_.put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1)
    sqs_client.client(server.endpoint).create_queue(QueueName=name)
    own = (arn(name),)
    eventually(lambda: scrape(server.endpoint)["lambkin_events_succeeded_total"].samples[own] == 1, 20, "the event has run")
    eventually(lambda: scrape(server.endpoint).get("lambkin_provisioned_starts_total", None), 20, "one is kept")
    return lambda_


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("prometheus")) as server:
        used(server, "f")
        yield server


def test_every_metric_is_served_with_its_kind_and_labels(started):
    served = scrape(started.endpoint)
    isolation = next(iter(served["lambkin_build_info"].samples))[1]
    expected = {**EXPECTED, **(POOL if isolation == "jail" else {})}
    assert {name: (family.kind, family.labels) for name, family in served.items()} == expected
    assert all(family.help.endswith(".") for family in served.values())
    # The same as JSON.
    with urllib.request.urlopen(started.endpoint + "/_lambkin/figures") as answer:
        figures = json.load(answer)["figures"]
    assert {figure["name"]: (figure["kind"], tuple(figure["labels"])) for figure in figures}.keys() == expected.keys()
    assert {figure["name"]: figure["kind"] for figure in figures} == {name: kind for name, (kind, _) in expected.items()}


def test_values_are_those_of_the_traffic(server, name):
    started = server("--max-concurrency", "120", "--log-cap", "64", "--memory-share", "0.5")
    lambda_ = used(started, name)
    own = (arn(name),)
    served = scrape(started.endpoint)
    one = lambda metric, labels=own: served[metric].samples[labels]
    assert [one(f"lambkin_{what}_total") for what in ("invocations", "errors", "throttles")] == [6, 1, 0]
    duration = one("lambkin_duration_seconds")
    assert duration.count == 6 and 0.3 <= duration.sum < 30
    assert [count for bound, count in duration.buckets if bound in (0.2, 900)] in ([5, 6], [4, 6]), "the first may be slow"
    age = one("lambkin_events_age_seconds")
    assert age.count == 1 and age.sum < 20
    assert one("lambkin_concurrent_executions") == 0
    cold = sum(one("lambkin_cold_starts_total", (*own, level)) for level in ("L0", "L1", "L2"))
    assert cold >= 1 and cold + one("lambkin_warm_starts_total") >= 6
    assert one("lambkin_environments", (*own, "idle")) >= 2, "the one that ran, and the one that is kept"
    assert one("lambkin_environments", (*own, "busy")) == 0
    assert 1 << 20 < one("lambkin_environments_memory_bytes") <= one("lambkin_memory_used_bytes", ()) <= one("lambkin_memory_limit_bytes", ())
    assert (one("lambkin_concurrency_limit", ()), one("lambkin_concurrency_unreserved", ()), one("lambkin_functions", ())) == (120, 119, 1)
    assert one("lambkin_logs_limit_bytes", ()) == 64 << 20
    written = lambda: scrape(started.endpoint)["lambkin_logs_written_events_total"].samples[()]
    eventually(lambda: written() >= 6 * 3, 10, "START, END and REPORT of each are written")
    assert one("lambkin_logs_dropped_events_total", ("disk",)) == 0
    assert one("lambkin_metrics_series", ()) > 10
    assert one("lambkin_store_bytes", ("queues",)) > 0 and one("lambkin_store_bytes", ("catalog",)) > 0
    assert 0 < one("lambkin_uptime_seconds", ()) < 600
    assert 1 << 20 < one("process_resident_memory_bytes", ()) < 1 << 32 and one("process_open_fds", ()) > 5
    invoke(lambda_, name)
    served = scrape(started.endpoint)
    assert one("lambkin_invocations_total") == 7, "counted before it is answered"


def test_a_cold_start_is_counted_by_what_was_ready(server, name):
    """A jail is made before lambkin says that it listens; where functions are plain processes nothing is ready."""
    for options, ready in [((), "L1"), (("--isolation", "process"), "L0")]:
        started = server("--warm-pool", "0", *options)
        lambda_ = client(started.endpoint)
        create(lambda_, name)
        for _ in range(3):
            invoke(lambda_, name)
        served = scrape(started.endpoint)
        isolation = next(iter(served["lambkin_build_info"].samples))[1]
        ready = ready if isolation == "jail" else "L0"
        cold = {level: count for (_, level), count in served["lambkin_cold_starts_total"].samples.items()}
        assert cold == {"L0": 0, "L1": 0, "L2": 0, ready: 1}, isolation
        assert served["lambkin_warm_starts_total"].samples[(arn(name),)] == 2
        assert "lambkin_pool_limit" not in served, "there is no pool"


SCRAPED = rb"^metrics for Prometheus, without signatures: (https?://\S+)/metrics$"


def test_who_takes_it_packed_has_the_same(started):
    """As Prometheus asks; the text of many functions is long."""

    def page(**headers):
        with urllib.request.urlopen(urllib.request.Request(started.endpoint + "/metrics", headers=headers), timeout=30) as answer:
            return answer.read(), answer.headers

    plain, plain_headers = page()
    packed, headers = page(**{"Accept-Encoding": "deflate;q=0.5, gzip"})
    assert headers["Content-Encoding"] == "gzip" and headers["Vary"] == plain_headers["Vary"] == "accept-encoding"
    assert headers["Content-Type"] == plain_headers["Content-Type"] and len(packed) * 4 < len(plain)
    names = lambda text: {line.split("{")[0].split(" ")[0] for line in text.decode().splitlines() if not line.startswith("#")}
    assert names(gzip.decompress(packed)) == names(plain)
    for refused in ("identity", "gzip;q=0", "br, gzip; q=0.0"):
        assert page(**{"Accept-Encoding": refused})[1]["Content-Encoding"] is None, refused


def asked(address, path="/metrics", method="GET", **headers):
    """(status, body) of a request that nobody signed."""
    request = urllib.request.Request(address + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def test_a_scraper_needs_no_key_where_it_is_let_in(server):
    """Prometheus cannot sign: with keys it is refused at the API's port, and has one of its own, for /metrics alone."""
    running = server("--metrics-listen", "127.0.0.1:0")
    address = running.awaits(SCRAPED)[1].decode()
    port = address.rsplit(":", 1)[1]
    ann = keys.make(running)
    lambda_ = keys.client("lambda", running.endpoint, ann)
    create(lambda_, "f")
    invoke(lambda_, "f")
    assert asked(running.endpoint)[0] == 403
    assert scrape(address)["lambkin_invocations_total"].samples[(arn("f"),)] == 1
    assert asked(address, method="HEAD") == (200, "")
    for method in ("POST", "PUT", "DELETE"):
        assert asked(address, method=method)[0] == 405, method
    # Nothing else is there, signed or not.
    listing = "/2015-03-31/functions/"
    others = ["/", listing, "/console", "/console/", "/_lambkin/health", "/_lambkin/figures", "/_lambkin/sample-events", "/metrics/", "/metrics/x"]
    for path in others:
        assert asked(address, path)[0] == 404, path
    with pytest.raises(ClientError) as refused:
        keys.client("lambda", address, ann).list_functions()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    by_host = {"Host": f"{'0' * 32}.lambda-url.us-east-1.localhost:{port}"}
    assert asked(address, "/", **by_host)[0] == 404, "a function's URL"
    # A page whose name was rebound to loopback reads nothing, nor does one of another origin.
    assert asked(address, Host=f"evil.example:{port}")[0] == 403
    assert asked(address, Origin="http://evil.example")[0] == 403
    assert asked(address, Host=f"localhost:{port}")[0] == 200
    # Scrapers are bounded apart from clients: many that say nothing keep nobody from the API.
    idle = [socket.create_connection(("127.0.0.1", int(port)), timeout=30) for _ in range(100)]
    assert invoke(lambda_, "f").error is None
    for each in idle:
        each.close()
    eventually(lambda: asked(address)[0] == 200, 30, "there is room again")


def test_scrapers_are_let_in_from_elsewhere_only_by_word(tmp_path):
    """Keys do not make it safe: nobody signs there."""
    data = tmp_path / "data"
    subprocess.run([binary(), "keys", "create", "--data", str(data)], capture_output=True, timeout=60, check=True)
    command = [binary(), "serve", "--listen", "127.0.0.1:0", "--data", str(data), "--isolation", "process", "--metrics-listen", "0.0.0.0:0"]
    for more in ([], ["--allow-unauthenticated"]):
        refusal = subprocess.run([*command, *more], capture_output=True, text=True, timeout=60)
        assert refusal.returncode == 2 and "--allow-unauthenticated-metrics" in refusal.stderr, refusal
    alone = subprocess.run([*command[:-2], "--allow-unauthenticated-metrics"], capture_output=True, text=True, timeout=60)
    assert alone.returncode == 2 and "--metrics-listen" in alone.stderr, "it would say nothing"
    with Server(tmp_path / "open", *command[6:], "--allow-unauthenticated-metrics") as running:
        port = running.awaits(SCRAPED)[1].decode().rsplit(":", 1)[1]
        assert "lambkin_uptime_seconds" in scrape(f"http://127.0.0.1:{port}")


def test_scrapers_have_the_tls_of_the_api(server, tmp_path):
    cert, key = certificate(tmp_path)
    running = server("--tls-cert", str(cert), "--tls-key", str(key), "--metrics-listen", "127.0.0.1:0")
    address = running.awaits(SCRAPED)[1].decode()
    assert address.startswith("https://")
    with urllib.request.urlopen(address + "/metrics", timeout=30, context=ssl.create_default_context(cafile=cert)) as answer:
        assert "lambkin_uptime_seconds" in parse(answer.read().decode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1",
        "# HELP a A.\n# TYPE a counter\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c\"} 1\na{c=\"d\"} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=\"c\",} 1\n",
        "# HELP a A.\n# TYPE a gauge\nb 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\na{b=\"c\"} 1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n",
        "# HELP a A.\n# TYPE a gauge\na one\n",
    ],
)
def test_what_is_wrong_is_not_read(text):
    """The parser of these tests finds what is wrong."""
    with pytest.raises((AssertionError, KeyError, IndexError)):
        parse(text)


def dashboard_expressions():
    """(panel, expression) of every query of docs/grafana.json, those of its variables among them."""
    dashboard = json.loads(DASHBOARD.read_text())
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def test_the_dashboard_asks_for_what_is_served(started):
    served = scrape(started.endpoint)
    samples = {
        f"{name}{suffix}": {*family.labels, *(["le"] if suffix == "_bucket" else []), *BY_PROMETHEUS}
        for name, family in {**{name: Expected(*each) for name, each in POOL.items()}, **served}.items()
        for suffix in (("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",))
    }
    asked = set()
    for panel, expression in dashboard_expressions():
        names = re.findall(r"\b(?:lambkin|process)_\w+", expression)
        assert names and set(names) <= samples.keys(), f"{panel}: {expression}"
        asked.update(names)
        for name, selector in re.findall(r"\b((?:lambkin|process)_\w+)\{([^}]*)\}", expression):
            labels = set(re.findall(r"(\w+)=~?\"", selector))
            assert labels <= samples[name], f"{panel}: {name} has no {labels - samples[name]}"
        for grouped in re.findall(r"by \(([^)]*)\)", expression):
            assert all(set(grouped.split(", ")) <= samples[name] for name in names), f"{panel}: {expression}"
        for name in names:
            rising = name.endswith(("_total", "_bucket", "_sum", "_count"))
            changes = re.search(rf"(?:rate|increase)\({name}\{{", expression) is not None
            assert rising == changes or "label_values" in expression, f"{panel}: a counter is shown by how it changes: {expression}"
    assert len(asked) > 40


def test_the_dashboard_can_be_imported():
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 20
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(?!__)(\w+)", DASHBOARD.read_text()))
    assert used == variables, "every variable is used, and none that is not there"
