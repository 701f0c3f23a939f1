"""The command line as a script meets it: exit codes, JSON, errors with remedies, and the API behind it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import isthmus


def test_init_does_not_overwrite(installation):
    again = isthmus("init", str(installation / "blueprint"), data_dir=installation / "data")
    assert again.returncode == 1
    assert "not empty" in again.stderr


def test_init_dry_run_makes_nothing(tmp_path):
    done = isthmus("init", str(tmp_path / "b"), "--dry-run", "--json", data_dir=tmp_path / "d")
    assert done.returncode == 0
    assert json.loads(done.stdout)["blueprint"]
    assert not (tmp_path / "b").exists()
    assert not (tmp_path / "d").exists()


def test_the_starter_is_valid_and_can_be_applied_and_taken_back(installation):
    data, folder = installation / "data", str(installation / "blueprint")
    assert isthmus("validate", folder, data_dir=data).returncode == 0
    planned = isthmus("plan", folder, "--json", data_dir=data)
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["steps"]
    first = isthmus("apply", folder, "--json", data_dir=data)
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["sequence"] == 1
    incident = Path(folder) / "incident.yaml"
    incident.write_text(incident.read_text().replace("Service desk", "Night desk"))
    assert isthmus("apply", folder, data_dir=data).returncode == 0
    back = isthmus("rollback", "1", "--json", data_dir=data)
    assert json.loads(back.stdout)["sequence"] == 3
    listed = json.loads(isthmus("history", "--json", data_dir=data).stdout)
    assert [each["sequence"] for each in listed] == [3, 2, 1]
    assert listed[0]["content_hash"] == listed[2]["content_hash"]


def test_an_invalid_blueprint_names_the_place_and_changes_nothing(installation, tmp_path):
    (tmp_path / "x.yaml").write_text("incident:\n  default_grup: x\n")
    data = installation / "data"
    before = isthmus("history", "--json", data_dir=data).stdout
    for verb in ("validate", "plan", "apply"):
        done = isthmus(verb, str(tmp_path), "--json", data_dir=data)
        assert done.returncode == 1
        problem = json.loads(done.stdout)["problems"][0]
        assert problem["path"].startswith("x.yaml:2:")
        assert "default_group" in problem["remedy"]
    assert isthmus("history", "--json", data_dir=data).stdout == before


def test_the_journal_verifies_and_its_pack_verifies_by_itself(installation, tmp_path):
    data = installation / "data"
    done = isthmus("audit", "verify", "--json", data_dir=data)
    assert done.returncode == 0, done.stdout + done.stderr
    pack = tmp_path / "pack.zip"
    made = isthmus("audit", "export", str(pack), data_dir=data)
    assert made.returncode == 0, made.stderr
    alone = subprocess.run(
        [sys.executable, "-I", str(pack)], capture_output=True, text=True, check=False, timeout=120
    )
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert isthmus("audit", "export", str(pack), data_dir=data).returncode == 1  # never overwrites unasked


def test_tokens_are_issued_listed_and_revoked_by_the_local_operator(installation):
    data = installation / "data"
    issued = isthmus("token", "issue", "pipeline", "--scope", "gate:check", "--json", data_dir=data)
    assert issued.returncode == 0, issued.stderr
    account = json.loads(issued.stdout)
    listed = isthmus("token", "list", "--json", data_dir=data).stdout
    assert account["id"] in listed
    assert account["token"] not in listed
    assert isthmus("token", "revoke", account["id"], data_dir=data).returncode == 0
    assert isthmus("token", "issue", "x", "--scope", "no:such", data_dir=data).returncode == 1


def test_the_gate_fails_closed(installation):
    data = installation / "data"
    unset = isthmus("gate", "check", "--change", "CHG-000001", data_dir=data)
    assert unset.returncode == 2
    gone = isthmus(
        "gate", "check", "--change", "CHG-000001", "--json", data_dir=data,
        ISTHMUS_URL="http://127.0.0.1:9", ISTHMUS_TOKEN="ist_x",
    )  # fmt: skip
    assert gone.returncode == 3
    assert json.loads(gone.stdout)["decision"] == "deny"


def test_an_unreachable_hub_is_told_apart_from_a_refusal(installation):
    data = installation / "data"
    done = isthmus("systems", "list", data_dir=data, ISTHMUS_URL="http://127.0.0.1:9", ISTHMUS_TOKEN="x")
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr
    assert isthmus("trace", "INC-999999", data_dir=data).returncode == 1
    assert isthmus("no-such-command", data_dir=data).returncode == 2


def test_doctor_masks_secrets_and_looks_around(installation):
    done = isthmus("doctor", "--json", data_dir=installation / "data")
    said = json.loads(done.stdout)
    assert said["healthy"], said
    assert {"python", "disk", "keys", "store", "users"} <= {each["name"] for each in said["checks"]}
    secret = isthmus("doctor", "--json", data_dir=installation / "none", DATABASE_URL="")
    assert secret.returncode in {0, 1}


def test_upgrading_a_current_store_changes_nothing_and_needs_an_installation(installation, tmp_path):
    data = installation / "data"
    done = isthmus("upgrade", "--json", data_dir=data)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"migrations": 0}
    assert isthmus("audit", "verify", data_dir=data).returncode == 0
    assert isthmus("upgrade", data_dir=tmp_path / "none").returncode == 1


def test_backup_and_restore_round_trip(installation, tmp_path):
    data = installation / "data"
    done = isthmus("backup", str(tmp_path / "book"), "--keys", str(tmp_path / "keys"), data_dir=data)
    assert done.returncode == 0, done.stderr
    assert isthmus("restore", str(tmp_path / "book"), "--why", "drill", data_dir=data).returncode == 2
    back = isthmus("restore", str(tmp_path / "book"), "--why", "drill", "--yes", data_dir=data)
    assert back.returncode == 0, back.stderr
    assert isthmus("history", "--json", data_dir=data).returncode == 0


def test_rules_are_tried_on_the_past_before_anything_matches_them(installation, tmp_path):
    data = installation / "data"
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules:\n- name: one per site\n  match: {alertname: Down}\n  by: [site]\n")
    done = isthmus("backtest", str(rules), "--json", data_dir=data)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["state"], said["result"]["events"], said["result"]["counts"]["candidate"]) == ("done", 0, 0)
    shown = isthmus("backtest", str(rules), data_dir=data)
    assert shown.returncode == 0, shown.stderr
    assert "Grouped differently: 0" in shown.stdout

    rules.write_text("rules:\n- name: one per site\n  when: 'labels.site =='\n")
    refused = isthmus("backtest", str(rules), data_dir=data)
    assert refused.returncode == 1
    assert "/monitoring/correlation/rules/0/when" in refused.stderr
    assert isthmus("backtest", str(tmp_path / "nothing.yaml"), data_dir=data).returncode == 2
    rules.write_text("rules: [")
    assert isthmus("backtest", str(rules), data_dir=data).returncode == 2
