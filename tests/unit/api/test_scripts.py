"""Scripts for Slurm and for this machine: what they say, what they leave out, and that a shell can run them."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.__main__ import main
from slipway.api.trainingjob import TrainingJobSpec
from slipway.cli import carried, local
from slipway.cli.documents import InvalidFile
from slipway.cli.preview import UNCHECKED
from slipway.cli.targets import SCRIPTS

from .scriptbed import COMMAND, JOB, changed, script_of, shellcheck


def with_env(entry: Any) -> Any:
    return {"spec": {"containers": [{"name": "main", "env": [entry]}]}}


TARGETS = pytest.mark.parametrize("target", ["slurm", "torchrun"])


@TARGETS
@pytest.mark.parametrize(
    "text",
    [
        JOB,
        COMMAND,
        changed(JOB, accelerator="nvidia", perNode=8),
        changed(JOB, image="a:1", output={"claim": "mine"}, failurePolicy={"maxRestarts": 0}),
        changed(COMMAND, command=["sh", "-c", "echo \"$HOME\" 'it''s' `date` $(date) \\ | cat; exit 3\n#x", ""]),
    ],
    ids=["recipe", "command", "gpus", "much said", "quotes"],
)
def test_shellcheck_has_nothing_to_say(target: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text(script_of(target, text))
    shellcheck(tmp_path / "job.sh")


def test_slurm_is_asked_for_the_job_s_nodes_and_gpus() -> None:
    lines = script_of("slurm", changed(JOB, accelerator="nvidia", nodes=3, perNode=8)).splitlines()
    assert [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")] == [
        "--job-name=demo",
        "--nodes=3",
        "--ntasks-per-node=1",
        "--cpus-per-task=8",
        "--gpus-per-node=8",
        "--requeue",
        "--open-mode=append",
        "--signal=B:USR1@120",
    ]
    assert "--gpus" not in script_of("slurm", JOB)
    assert "OMP_NUM_THREADS" not in "\n".join(lines), "the launcher divides the CPUs"


@TARGETS
def test_values_come_through_a_shell_unchanged(target: str, tmp_path: Path) -> None:
    """Whatever they are: the shell is asked."""
    awkward = "a'b\"c $HOME `x` \\ \n @NAME@ @PROGRAM@ é"
    text = changed(
        JOB, podTemplate={"spec": {"containers": [{"name": "main", "env": [{"name": "NCCL_X", "value": awkward}]}]}}
    )
    (line,) = shlex.split(next(part for part in script_of(target, text).split("export ") if part.startswith("NCCL_X=")))
    assert line == f"NCCL_X={awkward}"
    script = script_of(target, changed(COMMAND, command=["echo", awkward]))
    assert shlex.join(["torchrun", "--no-python", "echo", awkward]) in script


@TARGETS
def test_what_is_left_out_is_told(target: str) -> None:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {
            "nodeSelector": {"x\ny": "z"},
            "containers": [
                {"name": "main", "resources": {}, "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {}}]},
                {"name": "side", "image": "s:1"},
            ],
        },
    }
    told = script_of(target, changed(JOB, image="a:1", output={"claim": "mine"}, podTemplate=template))
    assert [line for line in told.splitlines() if line.startswith("#   ")] == [
        "#   spec.image: processes run in the environment that is active here",
        "#   spec.output: checkpoints and the model go to $SLIPWAY_OUTPUT_DIR, and stay",
        "#   spec.podTemplate.metadata.labels: there are no pods",
        "#   spec.podTemplate.spec.nodeSelector: there are no pods",
        "#   spec.podTemplate.spec.containers[main].resources: there are no pods",
        "#   spec.podTemplate.spec.containers[main].env[1].valueFrom: there are no pods",
        "#   spec.podTemplate.spec.containers[1]: there are no pods",
    ]
    assert "export A=1" in told
    assert "Not carried over" not in script_of(target, JOB)


@TARGETS
def test_metadata_of_pods_is_told_too(target: str) -> None:
    body = yaml.safe_load(JOB)
    body["metadata"] |= {"labels": {"kueue.x-k8s.io/queue-name": "q"}, "annotations": {"a": "b"}}
    told = script_of(target, yaml.safe_dump(body))
    assert "#   metadata.labels: there are no pods" in told
    assert "#   metadata.annotations: there are no pods" in told


@TARGETS
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (changed(JOB, dataset={"uri": "pvc://data"}), "spec.dataset.uri: a claim is Kubernetes': give file:///path"),
        (changed(JOB, recipe="sft", baseModel={"uri": "pvc://m/a"}), "spec.baseModel.uri: a claim is Kubernetes'"),
        (changed(JOB, podTemplate={"spec": {"hostNetwork": True}}), "spec.podTemplate.spec.hostNetwork"),
        (
            changed(
                JOB, podTemplate={"spec": {"containers": [{"name": "main", "env": [{"name": "A-B", "value": "1"}]}]}}
            ),
            "spec.podTemplate.spec.containers[main].env: a shell cannot export 'A-B' as '1'",
        ),
        (changed(JOB, podTemplate=with_env({"value": "1"})), "containers[main].env: a shell cannot export '' as '1'"),
        (
            changed(JOB, podTemplate=with_env({"name": "A", "value": 1})),
            "containers[0].env[0].value: must be text, not a number",
        ),
        (changed(COMMAND, precision="bf16"), "spec.precision: belongs to a recipe: leave it out with command"),
        (changed(COMMAND, model={}), "spec.model: belongs to a recipe"),
        (changed(COMMAND, stall={"factor": 3}), "spec.stall.factor: only an operator carries this out"),
        (changed(COMMAND, command=["x", "$(SLIPWAY_OUTPUT_DIR)"]), "spec.command: only Kubernetes replaces $(NAME)"),
        (changed(COMMAND, command=["x", "$$(A)"]), "spec.command: only Kubernetes replaces $(NAME)"),
        (JOB.replace("namespace: team", 'namespace: "a\\nb"'), "metadata.namespace: must be a DNS label"),
        (JOB + "---\n" + COMMAND, "2 TrainingJobs (demo, own): a script runs one"),
        (JOB.replace("name: demo", 'name: "a b"'), "metadata.name: must be a DNS label"),
        (JOB.replace("name: demo", f"name: {'a' * 41}"), "metadata.name: must be a DNS label of at most 40"),
        (changed(JOB, dataset=None), "spec: recipe pretrain needs dataset and training"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}", "no document is a TrainingJob"),
    ],
)
def test_what_would_be_another_job_is_refused(
    target: str, text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "job.yaml").write_text(text)
    assert main(["render", "--target", target, "-f", str(tmp_path / "job.yaml")]) == 1
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.out == ""


def test_a_field_that_no_table_names_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carried, "CARRIED", tuple(set(carried.CARRIED) - {"failurePolicy.maxRestarts"}))
    with pytest.raises(InvalidFile, match=r"demo: spec\.failurePolicy\.maxRestarts: only an operator carries"):
        script_of("slurm", changed(JOB, failurePolicy={"maxRestarts": 1}))


@TARGETS
def test_what_a_recipe_is_told_is_carried_over(target: str) -> None:
    base = {"recipe": "sft", "baseModel": {"uri": "file:///m"}, "dataset": {"uri": "s3://bucket/rows"}}
    told = script_of(target, changed(JOB, **base, strategy="fsdp", fsdp={"shard": "gradients"}, desync="Fail"))
    for part in ('"path":"/m"', '"path":"s3://bucket/rows"', '"fsdp":{"offload":"none","shard":"gradients"}', "Fail"):
        assert part in told


@TARGETS
def test_a_recipe_s_watchdog_has_its_bounds(target: str) -> None:
    told = script_of(target, changed(JOB, stall={"factor": 3, "floorSeconds": 20}))
    assert '"stall":{"factor":3,"floorSeconds":20}' in told
    assert '"stall"' not in script_of(target, changed(JOB, stall={"factor": 0}))


def test_tables_name_fields_that_there_are() -> None:
    fields = {each.alias or name for name, each in TrainingJobSpec.model_fields.items()}
    tables = (carried.CARRIED, carried.OF_A_RECIPE, carried.BY_THE_WATCHDOG, carried.NOTED)
    assert {path.partition(".")[0] for table in tables for path in table} <= fields


def test_a_podtemplate_s_memory_says_nothing_of_another_machine() -> None:
    """The operator would refuse this job; Slurm's nodes are others."""
    container = {"name": "main", "resources": {"limits": {"memory": "1Mi"}}}
    assert "limits" not in script_of("slurm", changed(JOB, podTemplate={"spec": {"containers": [container]}}))


def test_all_processes_start_here() -> None:
    told = script_of("torchrun", changed(JOB, nodes=2, perNode=3, training={"steps": 1, "batchSize": 6}))
    assert "export PET_NPROC_PER_NODE=6" in told
    assert "# spec.nodes: the processes of 2 nodes all start here" in told
    assert "spec.nodes" not in script_of("torchrun", changed(JOB, nodes=1))


@TARGETS
def test_it_is_printed(target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    assert main(["render", "--target", target, "-f", str(tmp_path / "job.yaml")]) == 0
    printed = capsys.readouterr()
    assert printed.out == script_of(target, JOB)
    assert printed.err == UNCHECKED


def test_what_is_not_checked_is_told_before_it_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def run(*_: object) -> str:
        told.append(capsys.readouterr().err)
        return ""

    monkeypatch.setattr(local, "run", run)
    (tmp_path / "job.yaml").write_text(JOB)
    main(["render", "--target", "torchrun", "--run", "-f", str(tmp_path / "job.yaml")])
    assert told == [UNCHECKED]


def test_run_belongs_to_torchrun(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "--target", "slurm", "--run", "-f", "none"]) == 2
    assert main(["render", "--run", "-f", "none"]) == 2
    assert capsys.readouterr().err.count("--run belongs to --target torchrun") == 2


def test_bash_parses_them(tmp_path: Path) -> None:
    for target in SCRIPTS:
        (tmp_path / target).write_text(script_of(target, JOB))
        ended: Any = subprocess.run(["bash", "-n", str(tmp_path / target)], capture_output=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, b"")


@TARGETS
def test_a_class_of_gpus_is_for_the_plan_alone(target: str) -> None:
    """The GPUs are those of the nodes that the script runs on, and how the work is shared is by the class's memory."""
    told = script_of(target, changed(JOB, accelerator="nvidia", acceleratorClass="h200"))
    assert "#   spec.acceleratorClass: processes run on the GPUs that are here" in told.splitlines()
    with pytest.raises(InvalidFile, match="there is no Accelerator 'h1000'"):
        script_of(target, changed(JOB, accelerator="nvidia", acceleratorClass="h1000"))
