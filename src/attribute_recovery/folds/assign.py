"""The data set of one fold: the same images, some to train on, some to calibrate on, some held out."""

import shutil
from pathlib import Path

from attribute_recovery.dataset.splits import roles_in_fold
from attribute_recovery.dataset.store import read_table, write_table
from attribute_recovery.tracking.private import private_files


def assign_roles(
    number: int, count: int, *, table: Path, attributes: Path, fold_table: Path, fold_attributes: Path
) -> None:
    """Write the images table and the attributes of one fold, for their owner alone.

    Args:
        number: the fold, 1 to `count`.
        count: number of folds.
        table: images.parquet of all images, with the column `fold`, read.
        attributes: attributes.json, read.
        fold_table: images.parquet of the fold, written: the same rows in the same order, the column `split`
            as `dataset.splits.roles_in_fold` says, no column `fold`.
        fold_attributes: attributes.json, written as it is.

    Raises:
        ValueError: the table is missing or damaged, or says nothing of folds.
    """
    images = read_table(table)
    if "fold" not in images:
        raise ValueError(f"{table}: column 'fold' is missing, expected images that are dealt into folds")
    images["split"] = roles_in_fold(images.pop("fold"), number, count)
    fold_attributes.parent.mkdir(parents=True, exist_ok=True)
    with private_files():
        write_table(images, fold_table)
    shutil.copyfile(attributes, fold_attributes)
