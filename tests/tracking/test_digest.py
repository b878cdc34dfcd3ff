"""Hashes against hashlib on known bytes; manifests against every kind of damage that bcolz lets pass."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribute_recovery.tracking import digest


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with a file and a folder of chunks, below a path with a space."""
    root = tmp_path / "my results"
    chunks = root / "default" / "dataset" / "images.bcolz" / "data"
    chunks.mkdir(parents=True)
    (chunks / "__0.blp").write_bytes(b"zero")
    (chunks / "__1.blp").write_bytes(b"ones")
    (root / "default" / "dataset" / "images.parquet").write_bytes(b"table")
    return root


def dataset_manifest(results: Path) -> Path:
    folder = results / "default" / "dataset"
    path = folder / "manifest.json"
    digest.write_manifest(path, [folder / "images.parquet", folder / "images.bcolz"], root=results)
    return path


@given(content=st.binary(max_size=4096))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert digest.sha256_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_entries_are_sorted_expanded_and_without_the_workflow_engine_s_own_files(results: Path) -> None:
    folder = results / "default" / "dataset"
    (folder / "images.bcolz" / ".snakemake_timestamp").write_text("")
    (folder / "images.bcolz" / ".partial-0-x").write_text("")
    entries = digest.file_entries(
        [folder / "images.parquet", folder / "images.bcolz", folder / "images.parquet"], results
    )
    assert [entry.path for entry in entries] == [
        "default/dataset/images.bcolz/data/__0.blp",
        "default/dataset/images.bcolz/data/__1.blp",
        "default/dataset/images.parquet",
    ]
    assert [entry.size for entry in entries] == [4, 4, 5]
    assert entries[2].sha256 == hashlib.sha256(b"table").hexdigest()


def test_entries_refuse_missing_files_and_files_outside_the_root(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere.*does not exist"):
        digest.file_entries([results / "nowhere"], results)
    (tmp_path / "outside").write_text("")
    with pytest.raises(ValueError, match="outside the root"):
        digest.file_entries([tmp_path / "outside"], results)


def test_a_folder_s_digest_follows_its_content_not_its_place(results: Path) -> None:
    folder = results / "default" / "dataset"
    before = digest.folder_digest(digest.file_entries([folder], results), "default/dataset/images.bcolz")
    (folder / "images.parquet").write_bytes(b"other")
    (folder / "images.bcolz").rename(folder / "moved.bcolz")
    entries = digest.file_entries([folder], results)
    assert digest.folder_digest(entries, "default/dataset/moved.bcolz") == before
    a, b = folder / "moved.bcolz" / "data" / "__0.blp", folder / "moved.bcolz" / "data" / "__1.blp"
    a.rename(folder / "swap")
    b.rename(a)
    (folder / "swap").rename(b)
    swapped = digest.file_entries([folder], results)
    assert digest.folder_digest(swapped, "default/dataset/moved.bcolz") != before


def test_equal_content_gives_an_equal_manifest_byte_for_byte(results: Path) -> None:
    path = dataset_manifest(results)
    first = path.read_bytes()
    for file in results.rglob("*.blp"):
        os.utime(file, (1, 1))
    folder = results / "default" / "dataset"
    digest.write_manifest(path, [path, folder / "images.bcolz", folder / "images.parquet"], root=results)
    assert path.read_bytes() == first
    content = json.loads(first)
    assert set(content) == {"schema_version", "folders", "files"}
    assert content["folders"] == ["default/dataset/images.bcolz"]


def test_a_manifest_is_read_as_it_was_written(results: Path) -> None:
    path = dataset_manifest(results)
    folder = results / "default" / "dataset"
    manifest = digest.read_manifest(path)
    assert list(manifest.files) == digest.file_entries(
        [folder / "images.bcolz", folder / "images.parquet"], results
    )
    path.write_text('{"schema_version": 99, "files": [], "folders": []}')
    with pytest.raises(ValueError, match="not a manifest"):
        digest.read_manifest(path)


def damage(kind: str, results: Path) -> None:
    data = results / "default" / "dataset" / "images.bcolz" / "data"
    if kind == "removed":
        (data / "__1.blp").unlink()
    elif kind == "cut":
        (data / "__1.blp").write_bytes(b"on")
    elif kind == "flipped":
        (data / "__1.blp").write_bytes(b"onez")
    elif kind == "swapped":
        (data / "__0.blp").write_bytes(b"ones")
        (data / "__1.blp").write_bytes(b"zero")
    elif kind == "added":
        (data / "__2.blp").write_bytes(b"twos")


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("removed", "__1.blp is missing"),
        ("cut", "__1.blp has 2 bytes, the manifest says 4"),
        ("flipped", "__1.blp has other content"),
        ("swapped", "__0.blp has other content"),
        ("added", "__2.blp was not written by the job"),
    ],
)
def test_damage_is_named(results: Path, kind: str, sentence: str, quick: bool) -> None:
    path = dataset_manifest(results)
    assert digest.verify_manifest(path, root=results, quick=quick) == []
    damage(kind, results)
    assert sentence in digest.verify_manifest(path, root=results, quick=quick)[0]


def test_quick_verification_hashes_a_file_again_only_when_it_changed(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dataset_manifest(results)
    hashed: list[str] = []
    real = digest.sha256_file

    def counting(file: Path) -> str:
        hashed.append(file.name)
        return real(file)

    monkeypatch.setattr(digest, "sha256_file", counting)
    assert digest.verify_manifest(path, root=results, quick=True) == []
    assert sorted(hashed) == ["__0.blp", "__1.blp", "images.parquet"]
    assert (results / "default" / ".stamps.json").is_file()
    hashed.clear()
    assert digest.verify_manifest(path, root=results, quick=True) == []
    assert hashed == []
    table = results / "default" / "dataset" / "images.parquet"
    state = table.stat()
    table.write_bytes(b"tabla")
    os.utime(table, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert "images.parquet has other content" in digest.verify_manifest(path, root=results, quick=True)[0]
    assert hashed == ["images.parquet"]


def test_damaged_stamps_are_only_lost_time(results: Path) -> None:
    path = dataset_manifest(results)
    (results / "default" / ".stamps.json").write_text('{"schema_version": 1')
    assert digest.verify_manifest(path, root=results, quick=True) == []


@pytest.mark.parametrize("quick", [False, True])
def test_only_broken_manifests_are_removed(results: Path, quick: bool) -> None:
    broken = dataset_manifest(results)
    sound = results / "default" / "report" / "manifest-page.json"
    sound.parent.mkdir()
    (sound.parent / "index.html").write_text("page")
    digest.write_manifest(sound, [sound.parent / "index.html"], root=results)
    record = results / "default" / "records" / "manual" / "manifest-0.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    assert digest.remove_broken_manifests(results, quick=quick) == []
    damage("removed", results)
    damage("added", results)
    assert digest.remove_broken_manifests(results, experiment="other", quick=quick) == []
    sentences = digest.remove_broken_manifests(results, experiment="default", quick=quick)
    assert sentences == [
        (
            "Removed default/dataset/manifest.json: default/dataset/images.bcolz/data/__1.blp is missing"
            " (and 1 more)."
        )
    ]
    assert not broken.exists()
    assert sound.exists()
    assert record.exists()


def test_an_unreadable_manifest_is_broken(results: Path) -> None:
    path = dataset_manifest(results)
    path.write_text(path.read_text()[:-20])
    assert len(digest.remove_broken_manifests(results)) == 1
    assert not path.exists()


def test_a_manifest_cannot_point_outside_the_results(results: Path) -> None:
    path = results / "default" / "manifest.json"
    entry = {"path": "../secret", "size": 1, "sha256": "0"}
    path.write_text(json.dumps({"schema_version": 1, "folders": [], "files": [entry]}))
    assert "outside the root" in digest.verify_manifest(path, root=results)[0]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "weights.safetensors"
    with digest.atomic_output(target) as partial:
        assert partial.suffix == target.suffix
        partial.write_text("first")
        assert not target.exists()
    assert target.read_text() == "first"
    with pytest.raises(RuntimeError), digest.atomic_output(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "first"
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_folder_replaces_the_old_folder_whole(tmp_path: Path) -> None:
    target = tmp_path / "images.bcolz"
    for names in (["a", "b"], ["c"]):
        with digest.atomic_output(target) as partial:
            partial.mkdir()
            for name in names:
                (partial / name).write_text(name)
        assert sorted(path.name for path in target.iterdir()) == names
    with pytest.raises(RuntimeError), digest.atomic_output(target) as partial:
        partial.mkdir()
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert [path.name for path in target.iterdir()] == ["c"]


def test_an_output_that_was_not_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was not written"), digest.atomic_output(tmp_path / "file"):
        pass


def test_what_killed_jobs_left_is_removed(results: Path) -> None:
    (results / "default" / ".partial-00-images.bcolz" / "data").mkdir(parents=True)
    (results / "default" / "dataset" / ".partial-00-table").write_text("")
    assert digest.remove_partials(results) == [
        "default/.partial-00-images.bcolz",
        "default/dataset/.partial-00-table",
    ]
    assert not list(results.rglob(".partial-*"))
    assert (results / "default" / "dataset" / "images.parquet").exists()


def test_json_is_sorted_and_refuses_nan(tmp_path: Path) -> None:
    digest.write_json(tmp_path / "a.json", {"b": 1, "a": [None, "é"]})
    assert list(json.loads((tmp_path / "a.json").read_text())) == ["a", "b"]
    with pytest.raises(ValueError, match="JSON compliant"):
        digest.write_json(tmp_path / "a.json", {"b": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text())["b"] == 1
