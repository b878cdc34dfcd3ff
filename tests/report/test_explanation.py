"""Sentences and table of one recognizer: the better of both routes, negative information left negative."""

from types import ModuleType

from attribute_recovery.report import explanation


def test_most_and_least_are_told_by_the_better_route(made: ModuleType) -> None:
    facts = made.recovery_metrics()
    sentence = explanation.recovery_sentence(facts)
    assert "most of jaw width (1.2 nats), hair style (0.31 nats) and smile (0.12 nats)" in sentence
    assert "least of glasses (−0.0018 nats), light azimuth" in sentence
    facts["decoder"]["information"]["yaw"] = 2.0
    assert "most of yaw (2.0 nats), jaw width" in explanation.recovery_sentence(facts)
    assert explanation.recovery_sentence({}) == ""


def test_few_attributes_are_all_told_once() -> None:
    facts = {"probe": {"information": {"yaw": 0.1, "smile": 0.3}}, "split": "test"}
    expected = "By the better of both routes, z holds most of smile (0.30 nats) and yaw (0.10 nats) (test)."
    assert explanation.recovery_sentence(facts) == expected


def test_both_routes_stand_side_by_side_on_their_own_scale(made: ModuleType) -> None:
    table = explanation.recovery_table(made.recovery_metrics())
    assert table is not None
    rows = {row[0].text: row for row in table.rows}
    assert next(iter(rows)) == "jaw width"
    assert [cell.text for cell in rows["jaw width"][1:3]] == [
        "1.089 (1.059 to 1.119)",
        "1.210 (1.180 to 1.240)",
    ]
    assert [cell.note for cell in rows["jaw width"][3:]] == ["R²", "R²"]
    assert [cell.note for cell in rows["glasses"][3:]] == ["U", "U"]
    assert rows["glasses"][2].text.startswith("−0.002")
    assert explanation.recovery_table({"decoder": {}}) is None


def test_one_sample_is_said_to_have_no_spread() -> None:
    assert "what the samples of one z share is what z says" in explanation._decoder_sentence(20)
    assert "what the samples of one z share is what z says" in explanation._decoder_sentence(None)
    told = explanation._decoder_sentence(1)
    assert "One sample has no spread, so coverage and CRPS skill of samples are not defined" in told


def test_a_raised_false_match_rate_is_told(made: ModuleType) -> None:
    source = made.threshold_values() | {"requested_fmr": 1e-4, "fmr": 3 / 7140}
    facts = made.rates_metrics() | {"used_fmr": 3 / 7140, "threshold_on_calibration": source}
    told = " ".join(explanation.rate_sentences(facts))
    assert "at a false match rate of 1 in 2,380" in told
    assert "Asked for was 1 in 10,000: the smallest claimable, 1 in 2,380, was used instead." in told


def test_the_card_in_one_sentence() -> None:
    card = {
        "name": "residual network",
        "embedding_size": 128,
        "crop_size": 64,
        "precision": "float32",
        "licence": "MIT",
    }
    assert explanation.card_sentence(card) == (
        "Residual network: embeddings of 128 numbers, crops of 64 × 64 pixels, run in float32, licence MIT."
    )
