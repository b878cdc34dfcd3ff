"""What would have to change for a decision to change, on the sphere and in the face; what carries its errors.

INPUTS:
    images               results/EXPERIMENT/dataset/images.bcolz
    table                results/EXPERIMENT/dataset/images.parquet
    codes                results/EXPERIMENT/generator/codes.bcolz
    shards               results/EXPERIMENT/RECOGNIZER/embeddings/shards
    threshold            results/EXPERIMENT/RECOGNIZER/recognizer/threshold.json
    generator_weights    results/EXPERIMENT/generator/autoencoder.safetensors
    generator_card       results/EXPERIMENT/generator/card.json
    heads_weights        results/EXPERIMENT/attributes/heads.safetensors
    heads_card           results/EXPERIMENT/attributes/heads.json
    editor_weights       results/EXPERIMENT/attributes/editor.safetensors
    editor_card          results/EXPERIMENT/attributes/editor.json
    recognizer_weights   results/EXPERIMENT/RECOGNIZER/recognizer/weights.safetensors
    recognizer_card      results/EXPERIMENT/RECOGNIZER/recognizer/card.json
    transformer_weights  results/EXPERIMENT/RECOGNIZER/decoder/transformer.safetensors
    transformer_card     results/EXPERIMENT/RECOGNIZER/decoder/transformer.json

OUTPUTS:
    representation       results/EXPERIMENT/RECOGNIZER/counterfactuals/representation.parquet
    attribute            results/EXPERIMENT/RECOGNIZER/counterfactuals/attribute.parquet
    shapley              results/EXPERIMENT/RECOGNIZER/counterfactuals/shapley.parquet
    metrics              results/EXPERIMENT/RECOGNIZER/counterfactuals/metrics.json
    pictures             results/EXPERIMENT/RECOGNIZER/counterfactuals/pictures
"""


rule counterfactuals:
    """Finds what would have to change for a decision to change, and checks each by embedding it again."""
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
            "results/{experiment}{fold}/{recognizer}/decoder/manifest-decoder_train.json",
        ],
        images=ancient("results/{experiment}/dataset/images.bcolz"),
        table=ancient(labelled("images.parquet")),
        codes=ancient("results/{experiment}{fold}/generator/codes.bcolz"),
        shards=ancient("results/{experiment}/{recognizer}/embeddings/shards"),
        threshold=ancient("results/{experiment}/{recognizer}/recognizer/threshold.json"),
        generator_weights=ancient("results/{experiment}{fold}/generator/autoencoder.safetensors"),
        generator_card=ancient("results/{experiment}{fold}/generator/card.json"),
        heads_weights=ancient("results/{experiment}{fold}/attributes/heads.safetensors"),
        heads_card=ancient("results/{experiment}{fold}/attributes/heads.json"),
        editor_weights=ancient("results/{experiment}{fold}/attributes/editor.safetensors"),
        editor_card=ancient("results/{experiment}{fold}/attributes/editor.json"),
        recognizer_weights=ancient("results/{experiment}/{recognizer}/recognizer/weights.safetensors"),
        recognizer_card=ancient("results/{experiment}/{recognizer}/recognizer/card.json"),
        transformer_weights=ancient("results/{experiment}{fold}/{recognizer}/decoder/transformer.safetensors"),
        transformer_card=ancient("results/{experiment}{fold}/{recognizer}/decoder/transformer.json"),
    output:
        representation="results/{experiment}{fold}/{recognizer}/counterfactuals/representation.parquet",
        attribute="results/{experiment}{fold}/{recognizer}/counterfactuals/attribute.parquet",
        shapley="results/{experiment}{fold}/{recognizer}/counterfactuals/shapley.parquet",
        metrics="results/{experiment}{fold}/{recognizer}/counterfactuals/metrics.json",
        pictures=directory("results/{experiment}{fold}/{recognizer}/counterfactuals/pictures"),
        manifest="results/{experiment}{fold}/{recognizer}/counterfactuals/manifest-counterfactuals.json",
    log:
        "results/{experiment}/logs{fold}/{recognizer}/counterfactuals.log",
    benchmark:
        "results/{experiment}/benchmarks{fold}/{recognizer}/counterfactuals.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=section("counterfactuals"),
        compute=section("compute"),
        seed=configuration.seed,
        n_boot=configuration.significance.bootstrap,
        code=code_of("counterfactuals.explain:explain"),
    message:
        "Explaining decisions of recognizer {wildcards.recognizer}"
    script:
        "../scripts/counterfactuals/explain.py"
