"""Reading attributes from images, and changing one attribute of a code. Once for a domain of images.

INPUTS:
    images             results/EXPERIMENT/dataset/images.bcolz
    table              results/EXPERIMENT/dataset/images.parquet
    attributes         results/EXPERIMENT/dataset/attributes.json
    generator_weights  results/EXPERIMENT/generator/autoencoder.safetensors
    generator_card     results/EXPERIMENT/generator/card.json
    codes              results/EXPERIMENT/generator/codes.bcolz
    report             results/EXPERIMENT/dataset/report.json, of heads that are brought
    source             the heads that are brought, with their card; none where they are trained

OUTPUTS:
    weights            results/EXPERIMENT/attributes/heads.safetensors
    card               results/EXPERIMENT/attributes/heads.json
    metrics            results/EXPERIMENT/attributes/metrics.json
    weights            results/EXPERIMENT/attributes/editor.safetensors
    card               results/EXPERIMENT/attributes/editor.json
    readings_table     results/EXPERIMENT/attributes/images.parquet, by heads that are brought: a value for every image
    readings_schema    results/EXPERIMENT/attributes/attributes.json, likewise
    readings           results/EXPERIMENT/attributes/readings.json, how these values are distributed

Where heads are brought, later rules take the images table and the schema from here, see `labelled` in common.smk.
"""


rule attributes_heads:
    """Trains the heads that read attributes from images, or takes those that are brought; calibrates them."""
    input:
        **where_heads_are_trained(
            generator_weights=ancient("results/{experiment}{fold}/generator/autoencoder.safetensors"),
            generator_card=ancient("results/{experiment}{fold}/generator/card.json"),
        ),
        **where_heads_are_brought(report=ancient("results/{experiment}/dataset/report.json")),
        manifests=[
            "results/{experiment}{fold}/dataset/manifest-dataset.json",
            *generator_manifests(),
        ],
        images=ancient("results/{experiment}/dataset/images.bcolz"),
        table=ancient("results/{experiment}{fold}/dataset/images.parquet"),
        attributes=ancient("results/{experiment}{fold}/dataset/attributes.json"),
        source=heads_source(),
    output:
        **where_heads_are_brought(
            readings_table="results/{experiment}{fold}/attributes/images.parquet",
            readings_schema="results/{experiment}{fold}/attributes/attributes.json",
            readings="results/{experiment}{fold}/attributes/readings.json",
        ),
        weights="results/{experiment}{fold}/attributes/heads.safetensors",
        card="results/{experiment}{fold}/attributes/heads.json",
        metrics="results/{experiment}{fold}/attributes/metrics.json",
        manifest="results/{experiment}{fold}/attributes/manifest-attributes_heads.json",
    log:
        "results/{experiment}/logs{fold}/attributes_heads.log",
    benchmark:
        "results/{experiment}/benchmarks{fold}/attributes_heads.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        settings=section("attributes.heads"),
        compute=section("compute"),
        seed=configuration.seed,
        code=code_of("attributes.prepare:prepare_heads"),
    message:
        "Preparing the attribute heads of {wildcards.experiment}"
    script:
        "../scripts/attributes/heads.py"


rule attributes_editor:
    """Trains the editor that changes one attribute of a code and holds the others."""
    input:
        manifests=[
            "results/{experiment}{fold}/dataset/manifest-dataset.json",
            "results/{experiment}{fold}/generator/manifest-generator_train.json",
            "results/{experiment}{fold}/generator/manifest-generator_codes.json",
            "results/{experiment}{fold}/attributes/manifest-attributes_heads.json",
        ],
        table=ancient(labelled("images.parquet")),
        attributes=ancient(labelled("attributes.json")),
        codes=ancient("results/{experiment}{fold}/generator/codes.bcolz"),
        generator_weights=ancient("results/{experiment}{fold}/generator/autoencoder.safetensors"),
        generator_card=ancient("results/{experiment}{fold}/generator/card.json"),
        heads_weights=ancient("results/{experiment}{fold}/attributes/heads.safetensors"),
        heads_card=ancient("results/{experiment}{fold}/attributes/heads.json"),
    output:
        weights="results/{experiment}{fold}/attributes/editor.safetensors",
        card="results/{experiment}{fold}/attributes/editor.json",
        manifest="results/{experiment}{fold}/attributes/manifest-attributes_editor.json",
    log:
        "results/{experiment}/logs{fold}/attributes_editor.log",
    benchmark:
        "results/{experiment}/benchmarks{fold}/attributes_editor.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        settings=section("attributes.editor"),
        compute=section("compute"),
        seed=configuration.seed,
        code=code_of("attributes.edit:train_editor"),
    message:
        "Training the attribute editor of {wildcards.experiment}"
    script:
        "../scripts/attributes/editor.py"
