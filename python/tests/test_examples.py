"""Every example runs, and keeps what it says. Which words come out is the model's business."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import PIL.Image
import pytest
from conftest import REPOSITORY

import seekvl

EXAMPLES = REPOSITORY / "examples" / "python"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_vqa_goes_on_with_the_conversation(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = example("vqa").main([])
    assert first.text == "yellow"
    # The second prompt has the first question, its answer and another question.
    assert second.prompt_tokens > first.prompt_tokens + 8
    assert capsys.readouterr().out.startswith(first.raw)


def test_ocr_of_a_folder_becomes_markdown(tmp_path: Path) -> None:
    pytest.importorskip("tqdm")
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes((REPOSITORY / "examples/images/sign.png").read_bytes())
    (folder / "b.png").write_bytes(b"broken")
    (folder / "c.txt").write_text("no picture")
    text = example("ocr_folder").main(["--max-new-tokens", "16", str(folder), str(tmp_path / "out.md")])
    assert (tmp_path / "out.md").read_text(encoding="utf-8") == text
    answer = seekvl.load().ocr(folder / "a.png", max_new_tokens=16)
    assert text.startswith(f"## a.png\n\n{answer.text}")
    assert "## b.png\n\n*cannot use the image" in text
    assert "c.txt" not in text


def test_grounding_draws_and_writes(tmp_path: Path) -> None:
    answer = example("grounding").main(["--out", str(tmp_path)])
    with PIL.Image.open(tmp_path / "grounding.png") as drawn:
        assert drawn.size == answer.image_size
    coco = json.loads((tmp_path / "grounding.coco.json").read_text())
    assert len(coco["annotations"]) == len(answer.boxes)


def test_charts_are_read_as_one_by_one() -> None:
    module = example("charts")
    answers = module.main([])
    model = seekvl.load()
    for (name, question), answer in zip(module.QUESTIONS, answers, strict=True):
        assert model.ask(module.IMAGES / name, question, max_new_tokens=64).raw == answer.raw


# Ray itself warns of what it deprecates.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ray_batch_resumes(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    images = tmp_path / "images"
    images.mkdir()
    for name in ("sign.png", "bars.png"):
        (images / name).write_bytes((REPOSITORY / "examples/images" / name).read_bytes())
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        arguments = ["--images", str(images), "--out", str(tmp_path / "out"), "--max-new-tokens", "8"]
        module = example("ray_batch")
        first = rows_by_key(module.main(arguments))
        (images / "pie.png").write_bytes((REPOSITORY / "examples/images/pie.png").read_bytes())
        second = rows_by_key(module.main(arguments))
    finally:
        ray.shutdown()
    assert (len(first), len(second)) == (2, 3)
    assert {key: second[key] for key in first} == first, "answered once"
    model = seekvl.load()
    for row in second.values():
        assert row["text"] == model.ask(row["path"], "Describe this picture.", max_new_tokens=8).text


def rows_by_key(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({row["key"] for row in rows}) == len(rows)
    return {row["key"]: row for row in rows}


def test_the_notebook_runs_from_start_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix) / "share" / "jupyter"))
    notebook = nbformat.read(EXAMPLES / "tour.ipynb", as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(EXAMPLES)}})
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert not any(output["output_type"] == "error" for output in shown)


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
