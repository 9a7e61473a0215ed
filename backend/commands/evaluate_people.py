"""`turboportrait evaluate people`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from backend.evaluation.realism import blind_heads, count_answers, measure_faces, write_blind_test
from backend.people.synthesis.files import people as people_of
from backend.people.synthesis.sheet import save_sheet
from backend.photos import find_photos
from backend.protocol.errors import TurboPortraitError

console = Console()


def people(
    folder: Annotated[Path, typer.Argument(help="Folder of `data synthesize`.")],
    output: Annotated[Path, typer.Option(help="Folder for the sheets and the key.")],
    portraits: Annotated[
        Path | None, typer.Option(help="Folder of photos to compare with, searched with its subfolders.", exists=True)
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="People on the sheet, and heads of each kind in the test.")] = 64,
    seed: Annotated[int, typer.Option(help="Who is drawn, and in which order.")] = 0,
    faces: Annotated[bool, typer.Option(help="Ask dlib about all faces as well; a second each.")] = True,
    answers: Annotated[
        Path | None, typer.Option(help="Only compare a viewer's lines `NUMBER made|given` with the key.")
    ] = None,
) -> None:
    """How real made people look: a sheet of random ones; beside photos a blind test, and dlib's figures."""
    if answers is not None:
        counted = count_answers(output / "key.json", answers)
        share = counted.right / max(counted.answered, 1)
        console.print(f"{counted.right} of {counted.answered} sorted rightly: {100 * share:.0f} %")
        for kind, (right, answered) in counted.by_kind.items():
            console.print(f"  {kind}: {right} of {answered}")
        return
    made = people_of(folder)
    if not made:
        raise TurboPortraitError("bad_corpus", f"{folder} holds no people; see docs/corpus.md")
    drawn = np.random.default_rng(seed).permutation(len(made))[:count]
    save_sheet(folder, sorted(int(made[k].name.removeprefix("person_")) for k in drawn), output / "people.jpg")
    console.print(f"{len(drawn)} of {len(made)} people: {output / 'people.jpg'}", soft_wrap=True)
    given = list(find_photos(portraits).values()) if portraits else []
    if given:
        for sheet in write_blind_test(blind_heads(made, given, count, seed), output):
            console.print(f"blind test: {sheet}", soft_wrap=True)
    if not faces:
        return
    kinds = {"made": [path / "portrait.png" for path in made]} | ({"given": given} if given else {})
    spreads = []
    for kind, paths in kinds.items():
        found = measure_faces(paths)
        spreads.append(found.spread)
        share = 1 - len(found.faceless) / found.portraits
        console.print(
            f"{kind}: dlib finds a face in {found.portraits - len(found.faceless)} of {found.portraits} "
            f"({100 * share:.1f} %); different people's embeddings are {found.spread:.3f} apart"
        )
        for path in found.faceless:
            console.print(f"  none in {path}", soft_wrap=True)
    if given:
        console.print(f"made people are spread {spreads[0] / spreads[1]:.2f} times as wide as those given")
