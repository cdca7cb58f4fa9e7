"""A Kubeflow Pipelines API on loopback that keeps state, lags and fails as the real one does."""

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import kfp_server_api as models
import yaml

Answer = tuple[int, Any]

_SERIALIZER = models.ApiClient()


@dataclass
class Fault:
    """What goes wrong with the next requests to a path, whose end is a pattern.

    A request that is dropped `after` was carried out and its answer lost; with a status, it was
    carried out by another client.
    """

    method: str
    path: str
    status: int | None = None
    dropped: str = ""
    times: int = 1


@dataclass
class FakeKubeflow:
    """The state of the fake, which tests read and bend."""

    endpoint: str = ""
    release: str = "2.17.0"
    token: str = ""
    cookie: str = ""
    forbidden: tuple[str, ...] = ()
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    pipelines: dict[str, models.V2beta1Pipeline] = field(default_factory=dict)
    versions: dict[str, models.V2beta1PipelineVersion] = field(default_factory=dict)
    experiments: dict[str, models.V2beta1Experiment] = field(default_factory=dict)
    runs: dict[str, models.V2beta1Run] = field(default_factory=dict)
    recurring: dict[str, models.V2beta1RecurringRun] = field(default_factory=dict)
    story: list[dict[str, Any]] = field(default_factory=list)
    """What a run shows at each look, `{"state": …, "tasks": {name: state}, "error": …}`."""
    live: list[dict[str, int]] = field(default_factory=list)
    """The number of enabled schedules of each name, after each change."""
    looks: dict[str, int] = field(default_factory=dict)
    clock: datetime = datetime(2026, 1, 5, 3, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.clock += timedelta(seconds=1)
        return self.clock

    def fail(self, method: str, path: str, status: int | None = None, **options: Any) -> None:
        self.faults.append(Fault(method, path, status, **options))

    def took(self, method: str, path: str) -> int:
        """How many requests with this method and path pattern arrived."""
        return sum(m == method and bool(re.fullmatch(path, p)) for m, p in self.requests)

    # Pipelines and their versions

    def list_pipelines(self, query: dict[str, str], _body: Any) -> Answer:
        namespace = query.get("namespace", "")
        mine = [p for p in self.pipelines.values() if (p.namespace or "") == namespace]
        return _page("pipelines", mine, query)

    def create_pipeline(self, _query: dict[str, str], body: Any) -> Answer:
        pipeline = _read(body, "V2beta1Pipeline")
        if any(p.name == pipeline.name for p in self.pipelines.values()):
            return _refusal(409, f"pipeline {pipeline.name} already exists")
        pipeline.pipeline_id, pipeline.created_at = _id(), self.now()
        self.pipelines[pipeline.pipeline_id] = pipeline
        return 200, pipeline

    def list_versions(self, query: dict[str, str], _body: Any, pipeline_id: str) -> Answer:
        mine = [v for v in self.versions.values() if v.pipeline_id == pipeline_id]
        return _page("pipeline_versions", mine, query)

    def upload_version(self, query: dict[str, str], content: Any) -> Answer:
        pipeline_id, name = query["pipelineid"], query["name"]
        if any(v.name == name and v.pipeline_id == pipeline_id for v in self.versions.values()):
            return 409, {"error_message": "Failed to create a pipeline version"}
        spec, *platform = yaml.safe_load_all(content)
        version = models.V2beta1PipelineVersion(
            pipeline_id=pipeline_id,
            pipeline_version_id=_id(),
            display_name=name,
            name=name,
            description=query.get("description"),
            tags=json.loads(query["tags"]),
            created_at=self.now(),
            pipeline_spec={"pipeline_spec": spec, "platform_spec": platform[0]}
            if platform
            else spec,
        )
        self.versions[version.pipeline_version_id] = version
        return 200, version

    # Experiments

    def list_experiments(self, query: dict[str, str], _body: Any) -> Answer:
        namespace = query.get("namespace", "")
        mine = [e for e in self.experiments.values() if (e.namespace or "") == namespace]
        return _page("experiments", mine, query)

    def create_experiment(self, _query: dict[str, str], body: Any) -> Answer:
        experiment = _read(body, "V2beta1Experiment")
        names = {e.display_name for e in self.experiments.values()}
        if experiment.display_name in names:
            return _refusal(409, f"experiment {experiment.display_name} already exists")
        experiment.experiment_id, experiment.created_at = _id(), self.now()
        self.experiments[experiment.experiment_id] = experiment
        return 200, experiment

    # Runs

    def list_runs(self, query: dict[str, str], _body: Any) -> Answer:
        mine = [r for r in self.runs.values() if r.experiment_id == query["experiment_id"]]
        return _page("runs", mine, query)

    def create_run(self, _query: dict[str, str], body: Any) -> Answer:
        run = _read(body, "V2beta1Run")
        if refusal := self._check_reference(run.pipeline_version_reference):
            return refusal
        run.run_id, run.created_at = _id(), self.now()
        run.state = "RUNTIME_STATE_UNSPECIFIED"
        self.runs[run.run_id] = run
        return 200, run

    def get_run(self, _query: dict[str, str], _body: Any, run_id: str) -> Answer:
        if run_id not in self.runs:
            return _refusal(404, f"run {run_id} not found")
        run = self.runs[run_id]
        look = self.looks.get(run_id, 0)
        self.looks[run_id] = look + 1
        if self.story:
            self._tell(run, self.story[min(look, len(self.story) - 1)])
        return 200, run

    def _tell(self, run: models.V2beta1Run, scene: dict[str, Any]) -> None:
        run.state = scene["state"]
        run.error = models.GoogleRpcStatus(message=scene["error"]) if "error" in scene else None
        run.run_details = models.V2beta1RunDetails(
            task_details=[
                models.V2beta1PipelineTaskDetail(
                    run_id=run.run_id, task_id=_id(), display_name=name, state=state
                )
                for name, state in scene.get("tasks", {}).items()
            ]
        )

    # Recurring runs

    def list_recurring(self, query: dict[str, str], _body: Any) -> Answer:
        mine = [r for r in self.recurring.values() if r.experiment_id == query["experiment_id"]]
        return _page("recurringRuns", mine, query)

    def create_recurring(self, _query: dict[str, str], body: Any) -> Answer:
        recurring = _read(body, "V2beta1RecurringRun")
        if not 1 <= int(recurring.max_concurrency or 0) <= 10:
            return _refusal(400, "The max concurrency of the recurring run is out of range")
        if len(recurring.trigger.cron_schedule.cron.split()) != 6:
            return _refusal(400, "Schedule cron is not a supported format")
        if refusal := self._check_reference(recurring.pipeline_version_reference):
            return refusal
        recurring.recurring_run_id, recurring.created_at = _id(), self.now()
        recurring.status = "ENABLED" if recurring.mode == "ENABLE" else "DISABLED"
        recurring.mode = None
        if self.release < "2.17":
            recurring.service_account = "default-editor"
        self.recurring[recurring.recurring_run_id] = recurring
        self._count_live()
        return 200, recurring

    def delete_recurring(self, query: dict[str, str], _body: Any, key: str) -> Answer:
        """A schedule owns the workflows of its runs, which Kubernetes deletes unless orphaned."""
        if key not in self.recurring:
            return _refusal(404, f"recurring run {key} not found")
        del self.recurring[key]
        if query.get("propagation_policy") != "ORPHAN":
            self.runs = {id_: r for id_, r in self.runs.items() if r.recurring_run_id != key}
        self._count_live()
        return 200, {}

    def tick(self, key: str) -> models.V2beta1Run:
        """Start a run of a schedule, as the controller of scheduled workflows does."""
        run = models.V2beta1Run(run_id=_id(), recurring_run_id=key, state="RUNNING")
        run.experiment_id = self.recurring[key].experiment_id
        self.runs[run.run_id] = run
        return run

    def enable_recurring(self, _query: dict[str, str], _body: Any, key: str) -> Answer:
        self.recurring[key].status = "ENABLED"
        self._count_live()
        return 200, {}

    def disable_recurring(self, _query: dict[str, str], _body: Any, key: str) -> Answer:
        self.recurring[key].status = "DISABLED"
        self._count_live()
        return 200, {}

    def get_healthz(self, _query: dict[str, str], _body: Any) -> Answer:
        return 200, {"multi_user": bool(self.token), "tag_name": self.release}

    def _count_live(self) -> None:
        names = {r.display_name for r in self.recurring.values()}
        live = [r.display_name for r in self.recurring.values() if r.status == "ENABLED"]
        self.live.append({name: live.count(name) for name in names})

    def _check_reference(self, reference: models.V2beta1PipelineVersionReference) -> Answer | None:
        if reference.pipeline_id not in self.pipelines:
            return _refusal(404, f"pipeline {reference.pipeline_id} not found")
        version = reference.pipeline_version_id
        if version and version not in self.versions:
            return _refusal(404, f"pipeline version {version} not found")
        return None


_API = r"/apis/v2beta1"
_ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", f"{_API}/healthz", FakeKubeflow.get_healthz),
    ("GET", f"{_API}/pipelines", FakeKubeflow.list_pipelines),
    ("POST", f"{_API}/pipelines", FakeKubeflow.create_pipeline),
    ("POST", f"{_API}/pipelines/upload_version", FakeKubeflow.upload_version),
    ("GET", f"{_API}/pipelines/([^/]+)/versions", FakeKubeflow.list_versions),
    ("GET", f"{_API}/experiments", FakeKubeflow.list_experiments),
    ("POST", f"{_API}/experiments", FakeKubeflow.create_experiment),
    ("GET", f"{_API}/runs", FakeKubeflow.list_runs),
    ("POST", f"{_API}/runs", FakeKubeflow.create_run),
    ("GET", f"{_API}/runs/([^/:]+)", FakeKubeflow.get_run),
    ("GET", f"{_API}/recurringruns", FakeKubeflow.list_recurring),
    ("POST", f"{_API}/recurringruns", FakeKubeflow.create_recurring),
    ("DELETE", f"{_API}/recurringruns/([^/:]+)", FakeKubeflow.delete_recurring),
    ("POST", f"{_API}/recurringruns/([^/:]+):enable", FakeKubeflow.enable_recurring),
    ("POST", f"{_API}/recurringruns/([^/:]+):disable", FakeKubeflow.disable_recurring),
]


@contextmanager
def serve_fake_kubeflow() -> Iterator[FakeKubeflow]:
    """Serve the API on a free port until the block ends."""
    fake = FakeKubeflow()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            url = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with lock:
                fake.requests.append((self.command, unquote(url.path)))
                answer = self._answer(unquote(url.path), url.query, content)
            if answer is None:
                self.close_connection = True
                self.connection.close()
                return
            self._send(*answer)

        def _answer(self, path: str, query: str, content: bytes) -> Answer | None:
            fault = _take_fault(fake, self.command, path)
            if fault and fault.dropped == "before":
                return None
            if fault and fault.status and not fault.dropped:
                return _refusal(fault.status, "it is not your day")
            if refusal := _check_access(fake, self.headers, path):
                return refusal
            flat = {key: values[0] for key, values in parse_qs(query).items()}
            answer = _route(fake, self.command, path, flat, _body(self.headers, content))
            if fault and fault.dropped:
                return _refusal(fault.status, "it is there") if fault.status else None
            return answer

        def _send(self, status: int, body: Any) -> None:
            page = isinstance(body, str)
            content = body if page else json.dumps(_SERIALIZER.sanitize_for_serialization(body))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/dex/auth")
            self.send_header("Content-Type", "text/html" if page else "application/json")
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - named by http.server

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    fake.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _route(fake: FakeKubeflow, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
    for wanted, pattern, handle in _ROUTES:
        if wanted == method and (match := re.fullmatch(pattern, path)):
            return handle(fake, query, body, *match.groups())
    return 200, "<html>a page of the UI</html>"


def _take_fault(fake: FakeKubeflow, method: str, path: str) -> Fault | None:
    for fault in fake.faults:
        if fault.times and fault.method == method and re.fullmatch(f".*{fault.path}", path):
            fault.times -= 1
            return fault
    return None


def _check_access(fake: FakeKubeflow, headers: Any, path: str) -> Answer | None:
    if fake.cookie and headers.get("Cookie") != fake.cookie:
        return 302, "<html>log in</html>"
    if fake.token and headers.get("Authorization") != f"Bearer {fake.token}":
        return _refusal(401, "the token is not valid")
    if any(part in path for part in fake.forbidden):
        if "/upload" in path:  # as the real one does, which drops the reason
            return 400, {"error_message": "Failed to create a pipeline version"}
        return _refusal(403, "User 'ci' is not authorized")
    return None


def _body(headers: Any, content: bytes) -> Any:
    kind = headers.get("Content-Type", "")
    if kind.startswith("multipart/"):
        message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + content)
        return next(part.get_payload(decode=True) for part in message.walk() if part.get_filename())
    return json.loads(content) if content else None


def _page(key: str, items: list[Any], query: dict[str, str]) -> Answer:
    for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
        field_, wanted = predicate["key"], predicate["stringValue"]
        items = [item for item in items if getattr(item, field_) == wanted]
    if query.get("sort_by") == "created_at desc":
        items = sorted(items, key=lambda item: item.created_at, reverse=True)
    start, size = int(query.get("page_token") or 0), int(query.get("page_size") or 10)
    body: dict[str, Any] = {}
    if shown := items[start : start + size]:  # an empty list is left out, as protobuf does
        body[key] = shown
    if start + size < len(items):
        body["next_page_token"] = str(start + size)
    return 200, body


def _read(body: Any, model: str) -> Any:
    class Response:
        data = json.dumps(body)

    return _SERIALIZER.deserialize(Response, model)


def _refusal(status: int, message: str) -> Answer:
    return status, {"code": status, "message": message, "details": []}


def _id() -> str:
    return str(uuid.uuid4())
