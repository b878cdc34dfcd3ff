"""The three measures of what an attribute weighs: retained information, identity share, decision effect.

INPUTS:
    table               results/EXPERIMENT/dataset/images.parquet
    attributes          results/EXPERIMENT/dataset/attributes.json
    codes               results/EXPERIMENT/generator/codes.bcolz
    shards              results/EXPERIMENT/RECOGNIZER/embeddings/shards
    threshold           results/EXPERIMENT/RECOGNIZER/recognizer/threshold.json
    recovered           results/EXPERIMENT/RECOGNIZER/recovery/recovered.parquet
    recovery_metrics    results/EXPERIMENT/RECOGNIZER/recovery/metrics.json
    generator_weights   results/EXPERIMENT/generator/autoencoder.safetensors
    generator_card      results/EXPERIMENT/generator/card.json
    heads_weights       results/EXPERIMENT/attributes/heads.safetensors
    heads_card          results/EXPERIMENT/attributes/heads.json
    editor_weights      results/EXPERIMENT/attributes/editor.safetensors
    editor_card         results/EXPERIMENT/attributes/editor.json
    recognizer_weights  results/EXPERIMENT/RECOGNIZER/recognizer/weights.safetensors
    recognizer_card     results/EXPERIMENT/RECOGNIZER/recognizer/card.json

OUTPUTS:
    significance        results/EXPERIMENT/RECOGNIZER/significance/significance.parquet
    contributions       results/EXPERIMENT/RECOGNIZER/significance/contributions.parquet
    metrics             results/EXPERIMENT/RECOGNIZER/significance/metrics.json
    figure              results/EXPERIMENT/RECOGNIZER/significance/significance.png
    edits               results/EXPERIMENT/RECOGNIZER/significance/edits.png
    group_rates         results/EXPERIMENT/RECOGNIZER/significance/groups.parquet
    group_curves        results/EXPERIMENT/RECOGNIZER/significance/group_curves.parquet
    group_figure        results/EXPERIMENT/RECOGNIZER/significance/groups.png
    doses               results/EXPERIMENT/RECOGNIZER/significance/dose_response.parquet
    dose_figure         results/EXPERIMENT/RECOGNIZER/significance/dose_response.png

and, where there are several recognizers, their differences:
    comparison          results/EXPERIMENT/significance/comparison.parquet
    metrics             results/EXPERIMENT/significance/metrics.json
    figure              results/EXPERIMENT/significance/comparison.png
"""


rule significance:
    """Measures for every attribute what is retained, what of it is identity, and what it does to decisions."""
    input:
        manifests=[
            "results/{experiment}{fold}/dataset/manifest-dataset.json",
            "results/{experiment}{fold}/generator/manifest-generator_train.json",
            "results/{experiment}{fold}/generator/manifest-generator_codes.json",
            "results/{experiment}{fold}/attributes/manifest-attributes_heads.json",
            "results/{experiment}{fold}/attributes/manifest-attributes_editor.json",
            "results/{experiment}/{recognizer}/recognizer/manifest-recognizer.json",
            "results/{experiment}/{recognizer}/embeddings/manifest-embeddings.json",
            "results/{experiment}/{recognizer}/recognizer/manifest-rates.json",
            "results/{experiment}{fold}/{recognizer}/recovery/manifest-recovery.json",
        ],
        table=ancient(labelled("images.parquet")),
        attributes=ancient(labelled("attributes.json")),
        codes=ancient("results/{experiment}{fold}/generator/codes.bcolz"),
        shards=ancient("results/{experiment}/{recognizer}/embeddings/shards"),
        threshold=ancient("results/{experiment}/{recognizer}/recognizer/threshold.json"),
        recovered=ancient("results/{experiment}{fold}/{recognizer}/recovery/recovered.parquet"),
        recovery_metrics=ancient("results/{experiment}{fold}/{recognizer}/recovery/metrics.json"),
        generator_weights=ancient("results/{experiment}{fold}/generator/autoencoder.safetensors"),
        generator_card=ancient("results/{experiment}{fold}/generator/card.json"),
        heads_weights=ancient("results/{experiment}{fold}/attributes/heads.safetensors"),
        heads_card=ancient("results/{experiment}{fold}/attributes/heads.json"),
        editor_weights=ancient("results/{experiment}{fold}/attributes/editor.safetensors"),
        editor_card=ancient("results/{experiment}{fold}/attributes/editor.json"),
        recognizer_weights=ancient("results/{experiment}/{recognizer}/recognizer/weights.safetensors"),
        recognizer_card=ancient("results/{experiment}/{recognizer}/recognizer/card.json"),
    output:
        significance="results/{experiment}{fold}/{recognizer}/significance/significance.parquet",
        contributions="results/{experiment}{fold}/{recognizer}/significance/contributions.parquet",
        metrics="results/{experiment}{fold}/{recognizer}/significance/metrics.json",
        figure="results/{experiment}{fold}/{recognizer}/significance/significance.png",
        edits="results/{experiment}{fold}/{recognizer}/significance/edits.png",
        group_rates="results/{experiment}{fold}/{recognizer}/significance/groups.parquet",
        group_curves="results/{experiment}{fold}/{recognizer}/significance/group_curves.parquet",
        group_figure="results/{experiment}{fold}/{recognizer}/significance/groups.png",
        doses="results/{experiment}{fold}/{recognizer}/significance/dose_response.parquet",
        dose_figure="results/{experiment}{fold}/{recognizer}/significance/dose_response.png",
        manifest="results/{experiment}{fold}/{recognizer}/significance/manifest-significance.json",
    log:
        "results/{experiment}/logs{fold}/{recognizer}/significance.log",
    benchmark:
        "results/{experiment}/benchmarks{fold}/{recognizer}/significance.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=section("significance"),
        compute=section("compute"),
        seed=configuration.seed,
        code=code_of("significance.analyse:analyse"),
    message:
        "Weighing each attribute for recognizer {wildcards.recognizer}"
    script:
        "../scripts/significance/analyse.py"


rule significance_compare:
    """Compares the recognizers attribute by attribute, people resampled for both at once."""
    input:
        manifests=[
            "results/{experiment}/dataset/manifest-dataset.json",
            *of_recognizers(
                "embeddings/manifest-embeddings",
                "recognizer/manifest-rates",
                "significance/manifest-significance",
            ),
            *[manifest.replace("{fold}", "") for manifest in labels_manifests()],
        ],
        table=ancient(labelled("images.parquet").replace("{fold}", "")),
        attributes=ancient(labelled("attributes.json").replace("{fold}", "")),
    output:
        comparison="results/{experiment}/significance/comparison.parquet",
        metrics="results/{experiment}/significance/metrics.json",
        figure="results/{experiment}/significance/comparison.png",
        manifest="results/{experiment}/significance/manifest-significance_compare.json",
    log:
        "results/{experiment}/logs/significance_compare.log",
    benchmark:
        "results/{experiment}/benchmarks/significance_compare.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=60,
    params:
        settings=section("significance"),
        recognizers=list(configuration.recognizers),
        seed=configuration.seed,
        code=code_of("significance.compare:compare"),
    message:
        "Comparing the recognizers of {wildcards.experiment}"
    script:
        "../scripts/significance/compare.py"
