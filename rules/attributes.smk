"""Reading attributes from images, and changing one attribute of a code. Once for a domain of images.

INPUTS:
    images             results/EXPERIMENT/dataset/images.bcolz
    table              results/EXPERIMENT/dataset/images.parquet
    attributes         results/EXPERIMENT/dataset/attributes.json
    generator_weights  results/EXPERIMENT/generator/autoencoder.safetensors
    generator_card     results/EXPERIMENT/generator/card.json
    codes              results/EXPERIMENT/generator/codes.bcolz

OUTPUTS:
    weights            results/EXPERIMENT/attributes/heads.safetensors
    card               results/EXPERIMENT/attributes/heads.json
    metrics            results/EXPERIMENT/attributes/metrics.json
    weights            results/EXPERIMENT/attributes/editor.safetensors
    card               results/EXPERIMENT/attributes/editor.json
"""


rule attributes_heads:
    """Trains the heads that read attributes from images, and calibrates them."""
    input:
        manifests=[
            "results/{experiment}{fold}/dataset/manifest-dataset.json",
            "results/{experiment}{fold}/generator/manifest-generator_train.json",
        ],
        images=ancient("results/{experiment}/dataset/images.bcolz"),
        table=ancient("results/{experiment}{fold}/dataset/images.parquet"),
        attributes=ancient("results/{experiment}{fold}/dataset/attributes.json"),
        generator_weights=ancient("results/{experiment}{fold}/generator/autoencoder.safetensors"),
        generator_card=ancient("results/{experiment}{fold}/generator/card.json"),
    output:
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
        code=code_of("attributes.train:train_heads"),
    message:
        "Training the attribute heads of {wildcards.experiment}"
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
        table=ancient("results/{experiment}{fold}/dataset/images.parquet"),
        attributes=ancient("results/{experiment}{fold}/dataset/attributes.json"),
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
