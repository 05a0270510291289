"""Boxes in other tools' forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seekvl._results import Answer, Box
from seekvl.errors import ImageError

if TYPE_CHECKING:
    import supervision


def _located(answer: Answer) -> list[tuple[Box, tuple[float, float, float, float]]]:
    """The boxes that have a place in an image."""
    return [(box, box.pixels) for box in answer.boxes if box.pixels is not None]


def _size(answer: Answer) -> tuple[int, int]:
    if answer.image_size is None:
        raise ImageError("the answer is about no image")
    return answer.image_size


def to_coco(answers: Sequence[Answer], file_names: Sequence[str]) -> dict[str, Any]:
    """The boxes of answers as a COCO data set.

    Args:
        answers: One for each image.
        file_names: The image's file for each answer.

    Returns:
        `images`, `annotations` and `categories`, with ids from 1. Boxes are `[x, y, width, height]` in pixels; `score`
        is there where a box has a confidence.

    Raises:
        ValueError: Another number of names than of answers.
        ImageError: An answer about no image.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    for image_id, (answer, file_name) in enumerate(zip(answers, file_names, strict=True), start=1):
        width, height = _size(answer)
        images.append({"id": image_id, "file_name": file_name, "width": width, "height": height})
        for box, (x1, y1, x2, y2) in _located(answer):
            annotation: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": categories.setdefault(box.label or "", len(categories) + 1),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            if box.confidence is not None:
                annotation["score"] = box.confidence
            annotations.append(annotation)
    named = [{"id": number, "name": name} for name, number in categories.items()]
    return {"images": images, "annotations": annotations, "categories": named}


def to_label_studio(answer: Answer, image_url: str, from_name: str, to_name: str) -> dict[str, Any]:
    """A task with a prediction. Label Studio counts in percent of the image's sides."""
    width, height = _size(answer)
    results: list[dict[str, Any]] = []
    for number, (box, (x1, y1, x2, y2)) in enumerate(_located(answer), start=1):
        value = {
            "x": 100 * x1 / width,
            "y": 100 * y1 / height,
            "width": 100 * (x2 - x1) / width,
            "height": 100 * (y2 - y1) / height,
            "rotation": 0,
            "rectanglelabels": [box.label or ""],
        }
        result: dict[str, Any] = {
            "id": f"box-{number}",
            "type": "rectanglelabels",
            "from_name": from_name,
            "to_name": to_name,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": value,
        }
        if box.confidence is not None:
            result["score"] = box.confidence
        results.append(result)
    return {"data": {to_name: image_url}, "predictions": [{"model_version": "seekvl", "result": results}]}


def to_hocr(answer: Answer, image_name: str) -> str:
    """An hOCR page. Its coordinates are whole pixels."""
    from html import escape

    width, height = _size(answer)
    lines: list[str] = []
    for number, (box, edges) in enumerate(_located(answer), start=1):
        place = "bbox " + " ".join(str(round(edge)) for edge in edges)
        if box.confidence is not None:
            place += f"; x_wconf {round(100 * box.confidence)}"
        text = escape(box.label or "")
        lines.append(f'    <span class="ocr_line" id="line_1_{number}" title="{place}">{text}</span>')
    # A quotation mark cannot be written within an hOCR property.
    name = escape(image_name.replace('"', ""), quote=False)
    title = f"image &quot;{name}&quot;; bbox 0 0 {width} {height}; ppageno 0"
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            "<!DOCTYPE html>",
            '<html xmlns="http://www.w3.org/1999/xhtml">',
            "<head>",
            "  <title></title>",
            '  <meta charset="utf-8"/>',
            '  <meta name="ocr-system" content="seekvl"/>',
            '  <meta name="ocr-capabilities" content="ocr_page ocr_line"/>',
            "</head>",
            "<body>",
            f'  <div class="ocr_page" id="page_1" title="{title}">',
            *lines,
            "  </div>",
            "</body>",
            "</html>",
            "",
        ]
    )


def to_supervision(answer: Answer) -> supervision.Detections:
    """Detections; classes are numbered in the order of their labels' first boxes."""
    from seekvl._numpy import numpy

    try:
        import supervision
    except ImportError as error:
        raise ImportError("this needs supervision: pip install 'seekvl[supervision]'") from error
    np = numpy()
    located = _located(answer)
    names = [box.label or "" for box, _ in located]
    classes = {name: number for number, name in enumerate(dict.fromkeys(names))}
    confidences = [box.confidence for box, _ in located]
    return supervision.Detections(
        xyxy=np.array([pixels for _, pixels in located], dtype=np.float32).reshape(-1, 4),
        confidence=None if None in confidences else np.array(confidences, dtype=np.float32),
        class_id=np.array([classes[name] for name in names], dtype=int),
        data={"class_name": np.array(names, dtype=str)},
    )
