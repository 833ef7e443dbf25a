"""What deploy/ promises: names that exist, limits that fit, and nothing that runs as root."""

import json
import re
import shutil
import subprocess
import tomllib
from configparser import RawConfigParser
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types

from service.app.shutdown_deadline import MEASURES_BY_S
from service.config import Config, variable
from service.ops.logs.patcher import CONTRACT

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

COUNTERS = {
    "trader_job_runs_total": {"job", "outcome"},
    "trader_job_skipped_total": {"job"},
    "trader_http_requests_total": {"route", "method", "status"},
    "trader_ai_calls_total": {"model", "outcome"},
    "trader_ai_tokens_total": {"model", "kind"},
    "trader_ai_cost_usd_total": {"model"},
    "trader_signals_total": {"action"},
    "trader_decisions_total": {"verdict", "reason"},
    "trader_orders_total": {"status"},
    "trader_cache_reads_total": {"result"},
    "trader_alerts_total": {"severity", "outcome"},
    "trader_log_lines_dropped_total": set[str](),
}
GAUGES = {
    "trader_build_info": {"version", "mode"},
    "trader_job_last_success_timestamp_seconds": {"job"},
    "trader_pool_connections": {"state"},
    "trader_pool_waiting": set[str](),
    "trader_component_status": {"component"},
    "trader_trading_active": set[str](),
    "trader_trading_state": {"state"},
    "trader_halts": {"kind", "market"},
    "trader_orders_open": {"status"},
    "trader_orders_stuck": set[str](),
    "trader_orders_aside": set[str](),
    "trader_event_loop_lag_seconds": set[str](),
}
HISTOGRAMS = {
    "trader_job_duration_seconds": {"job"},
    "trader_http_request_duration_seconds": {"route"},
}
OTHERS = {"up", "process_start_time_seconds", "process_resident_memory_bytes"}
#: label -> of which series it may be asked, besides instance and job, which each target has
LABELS = {
    **COUNTERS,
    **GAUGES,
    **{f"{name}_bucket": labels | {"le"} for name, labels in HISTOGRAMS.items()},
    **{name: set[str]() for name in OTHERS},
}
NAME = re.compile(r"\b(?:trader_\w+|process_\w+|up(?=\{))")
SELECTED = re.compile(r"\b((?:trader|process)_\w+|up)\{([^}]*)\}")


def loaded(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    return [rule for group in loaded("alerts.rules.yml")["groups"] for rule in group["rules"]]


def dashboard() -> Any:
    return json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    asked = [target["expr"] for panel in panels() for target in panel["targets"]]
    asked += [note["expr"] for note in dashboard()["annotations"]["list"]]
    return asked + [rule["expr"] for rule in rules()]


# --- metrics -------------------------------------------------------------------------------------


@pytest.mark.parametrize("expr", expressions())
def test_a_question_names_series_and_labels_that_exist(expr: str) -> None:
    assert set(NAME.findall(expr)) <= LABELS.keys()
    for series, selected in SELECTED.findall(expr):
        labels = set(re.findall(r"(\w+)\s*(?:=|!)", re.sub(r'"[^"]*"', "", selected)))
        assert labels <= LABELS[series] | {"instance", "job"}, series


def test_the_names_are_those_that_the_documents_list() -> None:
    written = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")

    for name in chain(COUNTERS, GAUGES, HISTOGRAMS):
        assert f"`{name}" in written, name


def test_what_is_measured_is_shown_on_the_dashboard() -> None:
    shown = set(NAME.findall(" ".join(t["expr"] for p in panels() for t in p["targets"])))

    missing = {*COUNTERS, *GAUGES, *(f"{name}_bucket" for name in HISTOGRAMS)} - shown
    assert missing == set()


def test_a_rule_says_how_bad_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]

    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "remedy"}


def test_the_dashboard_can_be_imported_anywhere() -> None:
    board = dashboard()
    ids = [panel["id"] for panel in board["panels"]]

    assert len(set(ids)) == len(ids)
    for panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}"
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.rules.yml"),
        ("test", "rules", "alerts.rules.test.yml"),
        ("check", "config", "--syntax-only", "prometheus.yml"),
    ],
)
def test_prometheus_own_checker_agrees(arguments: tuple[str, ...]) -> None:
    ended = subprocess.run(
        ["promtool", *arguments], cwd=DEPLOY, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_prometheus_keeps_our_label_job() -> None:
    (scrape,) = loaded("prometheus.yml")["scrape_configs"]

    assert scrape["job_name"] == "trader"
    assert scrape["honor_labels"] is True


# --- containers ----------------------------------------------------------------------------------

SERVICES = ("trader", "postgres", "prometheus", "grafana")


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_no_more_than_it_must(name: str) -> None:
    service = loaded("compose.yaml")["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith(("0", "root"))
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_every_builder_knows_the_health_checks_options() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (options,) = re.findall(r"^HEALTHCHECK((?: --\S+)+)", dockerfile, flags=re.MULTILINE)

    # --start-interval is refused by Docker before 25 and by buildah 1.28.
    known = {"--interval", "--timeout", "--start-period", "--retries"}
    assert {option.partition("=")[0] for option in options.split()} <= known


def test_composes_health_check_is_the_images_and_looks_often_at_the_start() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (image,) = re.findall(r"^HEALTHCHECK .*\\\n *CMD (\[.*\])$", dockerfile, flags=re.MULTILINE)
    compose = loaded("compose.yaml")["services"]["trader"]["healthcheck"]

    assert compose["test"][: 1 + len(json.loads(image))] == ["CMD", *json.loads(image)]
    for option in ("interval", "timeout", "start_period", "retries"):
        assert f"--{option.replace('_', '-')}={compose[option]} " in dockerfile
    assert compose["start_interval"] == "2s"


def test_nothing_secret_stands_in_the_compose_file() -> None:
    whole = loaded("compose.yaml")

    for service in whole["services"].values():
        assert set(service.get("secrets", [])) <= whole["secrets"].keys()
        for key, value in service.get("environment", {}).items():
            if any(word in key for word in ("PASSWORD", "TOKEN", "KEY", "SECRET", "DATABASE_URL")):
                assert str(value).startswith("/run/secrets/"), key


def test_the_services_secrets_are_variables_of_its() -> None:
    secret = {
        variable(field).lower()
        for field, info in Config.model_fields.items()
        if "SecretStr" in str(info.annotation)
    }

    assert set(loaded("compose.yaml")["services"]["trader"]["secrets"]) <= secret


def test_the_secrets_script_makes_every_secret_once(tmp_path: Path) -> None:
    script = shutil.copy(DEPLOY / "make-secrets.sh", tmp_path)
    subprocess.run(["sh", script], check=True, capture_output=True)
    made = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    subprocess.run(["sh", script], check=True, capture_output=True)

    assert made.keys() == loaded("compose.yaml")["secrets"].keys()
    assert made == {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert f":{made['postgres_password']}@postgres:5432/trader" in made["database_url"]
    assert all(len(text) >= 64 for text in made.values())
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_the_time_to_stop_is_longer_than_a_stop() -> None:
    unit = RawConfigParser(strict=False)
    unit.read(DEPLOY / "upbit-ai-trader.service")
    compose = loaded("compose.yaml")["services"]["trader"]

    assert int(unit["Service"]["TimeoutStopSec"]) >= 45 > 2 * MEASURES_BY_S
    assert int(compose["stop_grace_period"].removesuffix("s")) >= 45


def test_the_unit_signals_the_service_and_not_its_database() -> None:
    unit = RawConfigParser(strict=False)
    unit.read(DEPLOY / "upbit-ai-trader.service")

    assert unit["Service"]["KillMode"] == "mixed"
    assert unit["Service"]["ExecStart"].endswith("-m service run")


# --- log shippers --------------------------------------------------------------------------------


def test_vectors_file_reads_and_its_parts_are_joined() -> None:
    parsed = tomllib.loads((DEPLOY / "vector.toml").read_text(encoding="utf-8"))
    parts = parsed["sources"].keys() | parsed["transforms"].keys()

    for part in chain(parsed["transforms"].values(), parsed["sinks"].values()):
        assert set(part["inputs"]) <= parts


def test_the_shippers_read_the_time_where_the_lines_have_it() -> None:
    fluent = (DEPLOY / "fluent-bit-parsers.conf").read_text(encoding="utf-8")

    assert re.search(r"Time_Key\s+timestamp\n", fluent)
    assert "timestamp" in CONTRACT
    assert "parse_timestamp(.timestamp" in (DEPLOY / "vector.toml").read_text(encoding="utf-8")


def test_the_page_on_deploying_names_every_file() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")

    for file in DEPLOY.iterdir():
        assert file.name == "secrets" or f"`{file.name}`" in page


def test_the_image_and_the_unit_log_json_whatever_their_standard_output_is() -> None:
    image = (ROOT / "Dockerfile").read_text("utf-8").rpartition("\nFROM ")[2]
    unit = (DEPLOY / "upbit-ai-trader.service").read_text("utf-8")

    assert re.search(r"^(ENV )? .*\bTRADER_LOG_FORMAT=json$", image, flags=re.MULTILINE)
    assert re.search(r"^Environment=TRADER_LOG_FORMAT=json$", unit, flags=re.MULTILINE)
