"""A small dataset and a recipe for it, for the training tests."""

import json
import socket
from pathlib import Path
from typing import Any

from slipway_train.config import Recipe

WORDS = "def return self None import class value for in if else list name print".split()  # noqa: SIM905


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def write_dataset(root: Path, files: int = 24) -> None:
    """Text with some structure, different in every file; `file<i>` marks where it came from."""
    for i in range(files):
        lines = [f"{WORDS[(i * 7 + j) % 14]} {WORDS[(i + j * j) % 14]}_{j % 9} = {(i * j) % 50}" for j in range(60)]
        (root / f"part{i % 3}").mkdir(exist_ok=True)
        (root / f"part{i % 3}" / f"m{i}.py").write_text(f"# file<{i}>\n" + "\n".join(lines) + "\n")


def recipe_json(dataset: Path, /, **changes: Any) -> dict[str, Any]:
    """A recipe small enough for tests, in the API's spelling; `changes` replace whole top-level fields."""
    return {
        "recipe": "pretrain",
        "strategy": "ddp",
        "precision": "fp32",
        "accelerator": "cpu",
        "model": {"vocabSize": 512, "contextLength": 32, "hiddenSize": 32, "layers": 1, "heads": 2, "kvHeads": 1},
        "dataset": {"path": str(dataset), "include": ["**/*.py"], "heldOutPercent": 20},
        "training": {"steps": 8, "batchSize": 4, "seed": 3, "optimizer": {"warmupSteps": 2}},
        "checkpoint": {"everySteps": 3, "keep": 2},
    } | changes


def parse(content: dict[str, Any]) -> Recipe:
    return Recipe.model_validate_json(json.dumps(content))


def write_instructions(path: Path, rows: int = 60) -> None:
    """Questions with one answer each, in the three shapes; two of them are the same everywhere."""
    lines = []
    for i in range(rows):
        a, b = i % 10, i // 10
        question, answer = f"What comes after {a}, and what after {b}?", f"{a + 1} and {b + 1}"
        shapes = (
            {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]},
            {"prompt": question, "completion": answer},
            {"instruction": "Count on.", "input": question, "output": answer},
        )
        lines.append(json.dumps(shapes[i % 3]))
    path.write_text("\n".join(lines) + "\n")


def instruct_json(base: Path, data: Path, recipe: str = "sft", /, **changes: Any) -> dict[str, Any]:
    """A recipe that goes on from `base`, as `recipe_json` does it."""
    return {
        "recipe": recipe,
        "baseModel": {"path": str(base), "contextLength": 128},
        "dataset": {"path": str(data), "heldOutPercent": 20},
        "training": {"steps": 8, "batchSize": 4, "seed": 3, "optimizer": {"learningRate": "0.003", "warmupSteps": 2}},
        "checkpoint": {"everySteps": 3, "keep": 2},
        "evaluation": {"prompts": 4, "answerTokens": 12},
    } | changes
