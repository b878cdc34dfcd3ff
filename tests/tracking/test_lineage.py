"""Tracing a result through three jobs with real files, and what verification says when hands were at work."""

from pathlib import Path

import pytest

from attribute_recovery.tracking.lineage import trace, verify
from attribute_recovery.tracking.records import recorded_job


def run_stage(results: Path, rule: str, content: str, *, sources: list[Path]) -> Path:
    """A job that reads `sources` and writes a file and a folder; its manifest."""
    folder = results / "tiny" / rule
    (folder / "chunks").mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.json"
    with recorded_job(
        rule=rule,
        experiment_dir=results / "tiny",
        log=results / "tiny" / "logs" / f"{rule}.log",
        inputs={"sources": sources},
        outputs={"table": folder / "table", "chunks": folder / "chunks", "manifest": manifest},
        params={},
        seed=3,
        code=f"code of {rule}",
    ):
        (folder / "table").write_text(content)
        (folder / "chunks" / "0").write_text(content + " chunk")
    return manifest


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """dataset from a file outside, embeddings from dataset, report from both."""
    results = tmp_path / "my results"
    (tmp_path / "source.csv").write_text("source")
    dataset = run_stage(results, "dataset", "faces", sources=[tmp_path / "source.csv"])
    embeddings = run_stage(results, "embeddings", "vectors", sources=[dataset])
    run_stage(results, "report", "page", sources=[embeddings, dataset])
    return results


def test_a_result_is_traced_to_its_sources(results: Path, tmp_path: Path) -> None:
    steps = trace(results / "tiny" / "report" / "table", results)
    assert [step.path for step in steps] == [
        "tiny/report/table",
        "tiny/embeddings/manifest.json",
        "tiny/dataset/manifest.json",
        str(tmp_path / "source.csv"),
    ]
    assert [step.rule for step in steps] == ["report", "embeddings", "dataset", ""]
    assert steps[0].code == "code of report"
    assert steps[0].seed == 3
    assert (results / steps[0].record).is_file()
    assert steps[1].inputs == ((steps[2].path, steps[2].sha256),)


def test_a_folder_and_a_file_in_it_are_traced(results: Path) -> None:
    chunks = results / "tiny" / "embeddings" / "chunks"
    for path in (chunks, chunks / "0"):
        steps = trace(path, results)
        assert steps[0].path == "tiny/embeddings/chunks"
        assert [step.rule for step in steps] == ["embeddings", "dataset", ""]


def test_content_that_no_job_wrote_ends_the_trail(results: Path) -> None:
    page = results / "tiny" / "report" / "table"
    page.write_text("edited")
    assert [step.rule for step in trace(page, results)] == [""]
    chunk = results / "tiny" / "embeddings" / "chunks" / "0"
    chunk.write_text("edited")
    assert [step.rule for step in trace(chunk, results)] == [""]


def test_a_copy_is_traced_by_its_content(results: Path) -> None:
    copy = results / "copy"
    copy.write_text("page")
    assert trace(copy, results)[0].rule == "report"


def test_the_latest_job_that_wrote_the_content_counts(results: Path) -> None:
    before = trace(results / "tiny" / "dataset" / "table", results)[0]
    run_stage(results, "dataset", "faces", sources=[])
    after = trace(results / "tiny" / "dataset" / "table", results)[0]
    assert after.sha256 == before.sha256
    assert after.record != before.record
    assert after.inputs == ()


def test_a_path_that_is_not_there_is_refused(results: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        trace(results / "tiny" / "nothing", results)


def test_verification_names_edits_stale_results_and_strangers(results: Path) -> None:
    assert verify(results) == []
    run_stage(results, "dataset", "other faces", sources=[])
    (results / "tiny" / "report" / "table").write_text("pagE")
    (results / "tiny" / "report" / "manifest-2.json").write_bytes(
        (results / "tiny" / "report" / "manifest.json").read_bytes() + b"\n"
    )
    assert verify(results) == [
        (
            "tiny/embeddings/manifest.json: was made from another content of tiny/dataset/manifest.json than"
            " is there now"
        ),
        (
            "tiny/report/manifest-2.json: tiny/report/table has other content than the manifest says"
            " (sha256 differs)"
        ),
        "tiny/report/manifest-2.json: no job of the journal wrote this content",
        (
            "tiny/report/manifest.json: tiny/report/table has other content than the manifest says"
            " (sha256 differs)"
        ),
        (
            "tiny/report/manifest.json: was made from another content of tiny/dataset/manifest.json than"
            " is there now"
        ),
    ]
