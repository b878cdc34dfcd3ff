"""From the settings of brought faces to the module that reads them."""

from pathlib import Path

from attribute_recovery.config_faces import (
    BroughtFaces,
    CelebaDataset,
    DetectorAlignment,
    FacesDataset,
    FoldersDataset,
    InsightfaceDataset,
    LfwDataset,
    TableDataset,
)
from attribute_recovery.config_files import ConfigError
from attribute_recovery.dataset.sources import celeba, folders, insightface, lfw, table
from attribute_recovery.dataset.sources.label_tables import check_label_tables, with_label_tables
from attribute_recovery.dataset.sources.listing import Listing, label_name


def check_source(settings: FacesDataset) -> None:
    """Check that all files of a source are there and have what the settings speak of; light.

    Raises:
        ConfigError: something is not; the sentence begins with the key.
    """
    names: dict[str, str] = {}
    if isinstance(settings, FoldersDataset):
        folders.check_folders(settings)
    elif isinstance(settings, TableDataset):
        table.check_table(settings)
        names = {label_name(name): settings.path.name for name in table.label_columns(settings)}
    elif isinstance(settings, CelebaDataset):
        celeba.check_celeba(settings)
        if settings.attributes:
            names = {label_name(name): celeba.ATTRIBUTES for name in celeba.label_columns(settings)}
    elif isinstance(settings, LfwDataset):
        lfw.check_lfw(settings)
    else:
        insightface.check_insightface(settings)
    _require_what_only_some_have(settings)
    _require_labels(settings, names)


def list_source(settings: FacesDataset) -> Listing:
    """The images of a source, with the labels of all tables.

    Raises:
        ValueError: a file is not in its published form, or files do not belong together.
    """
    if isinstance(settings, FoldersDataset):
        listing = folders.list_folders(settings)
    elif isinstance(settings, TableDataset):
        listing = table.list_table(settings)
    elif isinstance(settings, CelebaDataset):
        listing = celeba.list_celeba(settings)
    elif isinstance(settings, LfwDataset):
        listing = lfw.list_lfw(settings)
    else:
        listing = insightface.list_insightface(settings)
    return with_label_tables(listing, settings)


def source_files(settings: FacesDataset) -> list[Path]:
    """The files that a source is read from, images and folders of images left out; light, reads none.

    For a workflow engine, so that a changed table of labels, list of pairs or detector is noticed.
    """
    found: list[Path] = []
    if isinstance(settings, TableDataset):
        found.append(settings.path)
    elif isinstance(settings, CelebaDataset):
        names = [name for name in celeba.needed_files(settings) if name.endswith(".txt")]
        found += [celeba.place_of(settings.path, name) for name in names]
    elif isinstance(settings, LfwDataset) and settings.pairs is not None:
        found.append(settings.pairs)
    elif isinstance(settings, InsightfaceDataset):
        found += insightface.set_files(settings)
    if isinstance(settings.align, DetectorAlignment):
        found.append(settings.align.weights)
    return found + [labels.path for labels in settings.labels]


def _require_what_only_some_have(settings: FacesDataset) -> None:
    with_own = isinstance(settings, TableDataset | CelebaDataset)
    if settings.align.by == "landmarks" and not with_own:
        raise ConfigError(
            f"dataset.align.by: found landmarks, which source {settings.source} does not have; allowed are "
            "detector and given"
        )
    if settings.splits.by == "source" and not with_own:
        raise ConfigError(
            f"dataset.splits.by: found source, but source {settings.source} has no splits; allowed is shares"
        )


def _require_labels(settings: BroughtFaces, names: dict[str, str]) -> None:
    """Make sure that each declared attribute has a column, and one only."""
    brought = check_label_tables(settings)
    both = sorted(set(names) & set(brought) & set(settings.attributes))
    if both:
        raise ConfigError(
            f"dataset.attributes.{both[0]}: found it in {names[both[0]]} and in {brought[both[0]]}, allowed "
            "is one place"
        )
    known = names | brought
    for name in settings.attributes:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none, since there is no table of labels"
            raise ConfigError(f"dataset.attributes.{name}: has no column of that name; allowed are {allowed}")
