"""The command line: what each subcommand prints, writes and exits with."""

import io
import sys
import types
from pathlib import Path

import pytest
import yaml

from slipway.__main__ import COMMANDS, main, parser
from slipway.api.crd import crd_files
from slipway.api.rbac import rbac_files
from slipway.api.reference import reference
from slipway.cli import listing, preview, watching
from slipway.cli.documents import InvalidFile

REPOSITORY = Path(__file__).parents[3]


def test_every_subcommand_is_carried_out_by_something() -> None:
    (choices,) = [action.choices for action in parser()._actions if action.dest == "command"]
    assert choices is not None
    assert set(choices) == set(COMMANDS)


def test_no_subcommand_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_crds_prints_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crds"]) == 0
    printed = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [each["metadata"]["name"] for each in printed] == [
        "trainingjobs.slipway.dev",
        "inferenceservices.slipway.dev",
    ]


def test_crds_writes_files_and_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crds", "--output", str(tmp_path / "t"), "--docs", str(tmp_path / "d" / "api.md")]) == 0
    assert {path.name: path.read_text() for path in (tmp_path / "t").iterdir()} == crd_files()
    assert (tmp_path / "d" / "api.md").read_text() == reference()
    assert capsys.readouterr().out == ""


def test_rbac_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rbac"]) == 0
    assert "kind: ClusterRole" in capsys.readouterr().out
    assert main(["rbac", "--output", str(tmp_path)]) == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == rbac_files()


@pytest.mark.parametrize("command", ["crds", "rbac"])
def test_what_is_committed_is_what_is_generated(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert main([command, "--check"]) == 0


@pytest.mark.parametrize(
    ("command", "regenerate"),
    [
        ("crds", "slipway crds --output charts/slipway-crds/templates --docs docs/api.md"),
        ("rbac", "slipway rbac --output charts/slipway/templates"),
    ],
)
def test_a_stale_file_fails_with_the_difference_and_the_command_that_mends_it(
    command: str, regenerate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, "--check"]) == 1
    stale = capsys.readouterr()
    assert regenerate in stale.err
    assert "+apiVersion: " in stale.out
    main(regenerate.split()[1:])
    assert main([command, "--check"]) == 0
    assert capsys.readouterr() == ("", "")


def test_check_and_output_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["crds", "--check", "--output", "x"])
    assert "not allowed with" in capsys.readouterr().err


@pytest.fixture
def echoing_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    """`plan` and `render` without the real plans: what reaches them is shown instead."""

    def planned(text: str, plans: object) -> str:
        if "bad" in text:
            raise InvalidFile("spec.nodes: must be more")
        return text

    monkeypatch.setattr(preview, "operator", lambda: None)
    monkeypatch.setattr(preview, "preview", planned)
    monkeypatch.setattr(preview, "refusals", lambda text: [])
    monkeypatch.setattr(preview, "summary", lambda text: f"summary of {text}")
    monkeypatch.setattr(preview, "rendered", lambda text: f"objects of {text}")


@pytest.mark.usefixtures("echoing_preview")
@pytest.mark.parametrize(("command", "printed"), [("plan", "summary of it"), ("render", "objects of it")])
def test_plan_and_render_read_a_file_or_standard_input(
    command: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.yaml").write_text("it")
    assert main([command, "-f", str(tmp_path / "job.yaml")]) == 0
    assert capsys.readouterr().out == printed
    monkeypatch.setattr(sys, "stdin", io.StringIO("it"))
    assert main([command, "-f", "-"]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.usefixtures("echoing_preview")
def test_an_invalid_or_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "job.yaml").write_text("bad")
    assert main(["plan", "-f", str(tmp_path / "job.yaml")]) == 1
    assert capsys.readouterr().err == f"{tmp_path}/job.yaml: spec.nodes: must be more\n"
    assert main(["plan", "-f", str(tmp_path / "none.yaml")]) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (b"a: \xff", "not UTF-8, from byte 3 on: save it as UTF-8"),
        (b"[" * 5000, "its values are nested too deeply to be read"),
        (b"a: " + b"{a: " * 5000 + b"}" * 5000, "its values are nested too deeply to be read"),
    ],
)
@pytest.mark.parametrize("command", [["plan"], ["plan", "train"], ["render"], ["render", "--target", "slurm"]])
def test_a_file_that_is_nothing_to_read_is_one_sentence(
    command: list[str], held: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.yaml").write_bytes(held)
    assert main([*command, "-f", str(tmp_path / "job.yaml")]) == 2
    assert capsys.readouterr() == ("", f"{tmp_path}/job.yaml: {said}\n")


def test_status_prints_the_table_or_why_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(listing, "status", lambda namespace: f"resources of {namespace}\n")
    assert main(["status", "-n", "team"]) == 0
    assert capsys.readouterr().out == "resources of team\n"

    def unreadable(_: str | None) -> str:
        raise listing.Unreadable("no cluster to ask")

    monkeypatch.setattr(listing, "status", unreadable)
    assert main(["status"]) == 1
    assert capsys.readouterr().err == "no cluster to ask\n"


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [(KeyboardInterrupt(), 0, ""), (listing.Unreadable("no cluster to ask"), 1, "no cluster to ask\n")],
)
def test_a_watch_ends_by_interrupt_or_says_why(
    ends: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def watch(*arguments: object) -> None:
        asked.extend(arguments)
        raise ends

    monkeypatch.setattr(watching, "watch", watch)
    assert main(["status", "-w", "-n", "team"]) == code
    assert asked[0] == "team"
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (3, 3)])
def test_run_starts_the_app(returned: int | None, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    app = types.ModuleType("slipway.app")
    app.main = lambda: returned  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "slipway.app", app)
    assert main(["run"]) == code
