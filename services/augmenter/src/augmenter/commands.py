"""labelstream recipe: what the augmenter can make of an image, and what it would make of yours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from augmenter.recipe import Recipe, load_recipe, recipe_text, shipped
from augmenter.recipe_schema import schema_text
from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured, Rejected
from labelstream.labels import Box, Shape
from labelstream.schemas import load_named_schema
from labelstream_cli.running import CommandFailed, Json, failed

_TELLS = (CommandFailed, Misconfigured, Rejected, OSError)
Named = Annotated[str, typer.Argument(help="A recipe that is shipped, or a .yaml file.", metavar="NAME|FILE")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Recipes: how the variants of an image are made.")
    group.command("list")(_list)
    group.command("show")(_show)
    group.command("check")(_check)
    group.command("preview")(_preview)
    group.command("schema")(_schema)
    app.add_typer(group, name="recipe")


def _list(as_json: Json = False) -> None:
    """List the recipes that are shipped.

    Examples:
    - `labelstream recipe list`
    - `labelstream recipe list --json | jq -r '.recipes[].name'`
    """
    recipes = [load_recipe(name) for name in shipped()]
    if as_json:
        typer.echo(json.dumps({"recipes": [_facts(recipe) for recipe in recipes]}))
        return
    table = Table("recipe", "makes", "digest", box=None, padding=(0, 2, 0, 0))
    for recipe in recipes:
        table.add_row(recipe.name, escape(recipe.description), recipe.digest[:12])
    Console(highlight=False).print(table)


def _show(name: Named) -> None:
    """Print a recipe, to read it or to begin one's own with it.

    Examples:
    - `labelstream recipe show weather`
    - `labelstream recipe show default > mine.yaml`
    """
    try:
        text = recipe_text(name)
    except _TELLS as problem:
        raise failed(problem) from problem
    typer.echo(text, nl=False)


def _check(name: Named, as_json: Json = False) -> None:
    """Check a recipe: its faults with file, line and field (exit code 1), or its digest.

    Examples:
    - `labelstream recipe check mine.yaml`
    - `labelstream recipe check mine.yaml --json | jq .faults`
    """
    try:
        recipe = load_recipe(name)
    except Misconfigured as problem:
        if as_json:
            typer.echo(json.dumps({"ok": False, "faults": str(problem).splitlines()}))
            raise typer.Exit(1) from problem
        raise failed(problem) from problem
    if as_json:
        typer.echo(json.dumps({"ok": True, **_facts(recipe)}))
        return
    typer.echo(f"{name} is fine: {_number(recipe.count)} besides the original, digest {recipe.digest}")


def _preview(
    image: Annotated[Path, typer.Argument(help="An image file.")],
    out: Annotated[Path, typer.Option(help="Where the sheet is written, such as sheet.jpg.")],
    labels: Annotated[Path | None, typer.Option(help="Its boxes: a YOLO label file.")] = None,
    recipe: Annotated[str, typer.Option(help="A recipe that is shipped, or a .yaml file.")] = "default",
    classes: Annotated[
        str | None,
        typer.Option(help="Their names: a class schema's name or .json file; needed to see classes follow modes."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw what a recipe makes of an image: the original and its variants, with their boxes.

    The variants are those that the augmenter makes of this image with this recipe.

    Examples:
    - `labelstream recipe preview photo.jpg --out sheet.jpg`
    - `labelstream recipe preview photo.jpg --labels photo.txt --recipe weather --classes azaion --out sheet.jpg`
    - `labelstream recipe preview photo.jpg --recipe mine.yaml --out sheet.png`
    """
    try:
        loaded = load_recipe(recipe)
        schema = load_named_schema(classes) if classes is not None else None
        kept = _draw(image, _boxes(labels, schema), loaded, schema, out)
    except _TELLS as problem:
        raise failed(problem) from problem
    if as_json:
        typer.echo(json.dumps({"sheet": str(out), **_facts(loaded), "boxes": kept}))
        return
    typer.echo(f"wrote {out}: the original ({kept[0]} boxes) and {_number(loaded.count)} of recipe {loaded.name}")


def _schema() -> None:
    """Print the JSON Schema of recipes, with which editors complete and check them.

    A recipe names it in its first line: `# yaml-language-server: $schema=recipe.schema.json`

    Examples:
    - `labelstream recipe schema > recipe.schema.json`
    """
    typer.echo(schema_text(), nl=False)


def _draw(image: Path, shapes: tuple[Shape, ...], recipe: Recipe, schema: ClassSchema | None, out: Path) -> list[int]:
    """Write the sheet; return how many boxes the original and each variant have."""
    from augmenter.preview import preview  # noqa: PLC0415  # only this command pays for OpenCV

    if not out.suffix:
        raise CommandFailed(f"{out} has no ending that says its format: name it sheet.jpg or sheet.png")
    if not out.parent.is_dir():
        raise CommandFailed(f"{out} can't be written: there is no folder {out.parent}")
    try:
        encoded = image.read_bytes()
    except OSError as error:
        raise CommandFailed(f"the image {image} can't be read: {error.strerror}") from error
    try:
        made = preview(encoded, shapes, recipe, schema)
    except Rejected as error:
        raise CommandFailed(f"the image {image} can't be used: {error.reason}") from error
    try:
        made.sheet.save(out)
    except OSError as error:
        raise CommandFailed(f"{out} can't be written: {error.strerror or error}") from error
    except ValueError as error:  # an ending that names no format
        raise CommandFailed(f"{out} can't be written: {error}; name it sheet.jpg or sheet.png") from error
    return [len(shapes), *(len(one.shapes) for one in made.variants)]


def _boxes(file: Path | None, schema: ClassSchema | None) -> tuple[Box, ...]:
    """Read a YOLO label file. Raises CommandFailed with file and line."""
    if file is None:
        return ()
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{file} is no label file: {error.reason}") from error
    except OSError as error:
        raise CommandFailed(f"the labels {file} can't be read: {error.strerror}") from error
    boxes = [_box(line, f"{file}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    unknown = {box.class_id for box in boxes if schema is not None and box.class_id >= len(schema.classes)}
    if schema is not None and unknown:
        raise CommandFailed(
            f"{file}: the schema {schema.name} has {len(schema.classes)} classes, none is {max(unknown)}"
        )
    return tuple(boxes)


def _box(line: str, where: str) -> Box:
    try:
        number, x, y, w, h = line.split()[:5]
        box = Box(class_id=int(number), x=float(x), y=float(y), w=float(w), h=float(h))
    except ValueError as error:
        raise CommandFailed(
            f"{where}: a line is `class x y w h`, in fractions of the image; here is {line!r}"
        ) from error
    if not all(-0.001 <= value <= 1.001 for value in box.corners()) or box.w < 0 or box.h < 0:
        raise CommandFailed(
            f"{where}: the box leaves the image: {line!r} (fractions of its width and height are wanted)"
        )
    return box


def _facts(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "description": recipe.description,
        "digest": recipe.digest,
        "variants": recipe.count,
        "follow_modes": recipe.follow_modes,
    }


def _number(count: int) -> str:
    return "no variants" if count == 0 else "1 variant" if count == 1 else f"{count} variants"
