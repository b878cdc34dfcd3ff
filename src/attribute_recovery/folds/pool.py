"""The results of all folds as one: everybody was held out once, by networks that had never seen them.

What each fold found stands on other people, so its figures are averaged with the number of its people as
weight, and their intervals with them (`statistics.pooled`). Tables of single images, pairs or people are put
one below the other, with the number of the fold. Pictures are the first fold's, but for those that show the
pooled figures.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from attribute_recovery.dataset.attributes import read_schema
from attribute_recovery.dataset.store import read_parquet, read_table, write_json, write_table
from attribute_recovery.folds.figures import pooled_figures, read_figures
from attribute_recovery.folds.long_table import is_long_table, pooled_table
from attribute_recovery.tracking.digest import remove_path
from attribute_recovery.tracking.private import private_files


def pool_stage(folds: int, *, experiment_dir: Path, outputs: Mapping[str, Path]) -> dict[str, Any]:
    """Write what one rule wrote in every fold as if there were one.

    Args:
        folds: number of folds.
        experiment_dir: the experiment's folder; `fold_1` and so on in it are read.
        outputs: files below it, by the rule's names; each is there in every fold too, and is written.
            `metrics` is a JSON object of figures; other JSON is the first fold's.

    Returns:
        The pooled metrics; nothing where the rule has none.

    Raises:
        ValueError: a file of a fold is missing or damaged, or the folds' files are not of one form.
    """
    sources = {
        name: [experiment_dir / f"fold_{k}" / path.relative_to(experiment_dir) for k in range(1, folds + 1)]
        for name, path in outputs.items()
    }
    weights = [_people_held_out(experiment_dir / f"fold_{k}") for k in range(1, folds + 1)]
    with private_files():
        tables = {
            name: _pooled_rows(name, [read_parquet(path) for path in sources[name]], weights)
            for name, path in outputs.items()
            if path.suffix == ".parquet"
        }
        for name, table in tables.items():
            write_table(table, outputs[name])
        for name, path in outputs.items():
            if path.suffix != ".parquet" and name != "metrics":
                _copy(sources[name][0], path)
    if "significance" in tables:
        _redraw(tables, experiment_dir, outputs)
    if "metrics" not in outputs:
        return {}
    figures = pooled_figures([read_figures(path) for path in sources["metrics"]], weights)
    values = _with_tested_figures(figures, tables) | {"folds": folds}
    write_json(values, outputs["metrics"])
    return values


def _people_held_out(fold: Path) -> int:
    """Identities of the fold's split `test`."""
    table = read_table(fold / "dataset/images.parquet")
    return int(table.loc[table["split"] == "test", "identity"].nunique())


def _pooled_rows(name: str, parts: Sequence[pd.DataFrame], weights: Sequence[int]) -> pd.DataFrame:
    """A long table's figures pooled; of any other table the rows that tell of held-out images, with a column
    `fold`, since what is numbered or listed in each fold begins anew."""
    if is_long_table(parts[0]):
        table = pooled_table(parts, weights)
        if name != "group_rates":
            return table
        from attribute_recovery.folds.group_rates import told_anew

        return told_anew(table, parts, weights)
    held_out = [part[part["split"] == "test"] if "split" in part else part for part in parts]
    return pd.concat([part.assign(fold=k) for k, part in enumerate(held_out, 1)], ignore_index=True)


def _with_tested_figures(figures: dict[str, Any], tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """The figures with those of the long table in place of averaged p-values, which mean nothing."""
    if "significance" not in tables:
        return figures
    from attribute_recovery.recovery.measure import without_nan
    from attribute_recovery.significance.table import as_metrics

    tested: dict[str, Any] = without_nan(as_metrics(tables["significance"]))
    if "group_rates" in tables:
        from attribute_recovery.significance.group_table import group_metrics

        tested |= without_nan(group_metrics(tables["group_rates"]))
    stale = {f"{measure}{ending}" for measure in tested for ending in ("", "_interval", "_p", "_q")}
    return {name: value for name, value in figures.items() if name not in stale} | tested


def _redraw(tables: Mapping[str, pd.DataFrame], experiment_dir: Path, outputs: Mapping[str, Path]) -> None:
    from attribute_recovery.significance.dose_response import draw_doses
    from attribute_recovery.significance.figures import draw_significance

    schema = read_schema(experiment_dir / "dataset/attributes.json")
    draw_significance(tables["significance"], schema, outputs["figure"])
    if "doses" in tables:
        draw_doses(tables["doses"], outputs["dose_figure"])


def _copy(source: Path, target: Path) -> None:
    """A file or a folder, whole or not at all."""
    if not source.exists():
        raise ValueError(f"{source}: is missing, expected what the fold wrote")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.partial")
    remove_path(beside)
    if source.is_dir():
        shutil.copytree(source, beside, copy_function=shutil.copyfile)
        beside.chmod(0o700)  # copytree takes over the folder's mode
        remove_path(target)
    else:
        shutil.copyfile(source, beside)
    beside.replace(target)
