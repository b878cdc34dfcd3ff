"""G and E: an image from a code, a code from an image. Once for a domain of images, whatever the recognizer.

INPUTS:
    images          results/EXPERIMENT/dataset/images.bcolz
    table           results/EXPERIMENT/dataset/images.parquet
    attributes      results/EXPERIMENT/dataset/attributes.json
    source          the weights and cards that are brought, the authors' models among them; none where G is ours

OUTPUTS:
    weights         results/EXPERIMENT/generator/autoencoder.safetensors
    card            results/EXPERIMENT/generator/card.json
    codes           results/EXPERIMENT/generator/codes.bcolz
    metrics         results/EXPERIMENT/generator/metrics.json
    figure          results/EXPERIMENT/generator/reconstructions.png
    figure_decoded  results/EXPERIMENT/generator/reconstructions-decoded.png, without real images
"""


rule generator_train:
    """Trains G and E, or takes those that are shipped or brought, such as the authors'."""
    input:
        manifests=[
            "results/{experiment}{fold}/dataset/manifest-dataset.json",
            *labels_manifests(),
        ],
        source=generator_source(),
        images=ancient("results/{experiment}/dataset/images.bcolz"),
        table=ancient(labelled("images.parquet")),
        attributes=ancient(labelled("attributes.json")),
    output:
        weights="results/{experiment}{fold}/generator/autoencoder.safetensors",
        card="results/{experiment}{fold}/generator/card.json",
        manifest="results/{experiment}{fold}/generator/manifest-generator_train.json",
    log:
        "results/{experiment}/logs{fold}/generator_train.log",
    benchmark:
        "results/{experiment}/benchmarks{fold}/generator_train.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=section("generator"),
        compute=section("compute"),
        seed=configuration.seed,
        code=code_of("generator.prepare:prepare_generator", data=generator_data()),
    message:
        "Preparing the generator of {wildcards.experiment}"
    script:
        "../scripts/generator/train.py"


rule generator_codes:
    """Encodes every image, and measures how like the originals G decodes them."""
    input:
        manifests=[
            "results/{experiment}{fold}/dataset/manifest-dataset.json",
            "results/{experiment}{fold}/generator/manifest-generator_train.json",
        ],
        images=ancient("results/{experiment}/dataset/images.bcolz"),
        table=ancient("results/{experiment}{fold}/dataset/images.parquet"),
        weights=ancient("results/{experiment}{fold}/generator/autoencoder.safetensors"),
        card=ancient("results/{experiment}{fold}/generator/card.json"),
    output:
        codes=directory("results/{experiment}{fold}/generator/codes.bcolz"),
        metrics="results/{experiment}{fold}/generator/metrics.json",
        figure="results/{experiment}{fold}/generator/reconstructions.png",
        figure_decoded="results/{experiment}{fold}/generator/reconstructions-decoded.png",
        manifest="results/{experiment}{fold}/generator/manifest-generator_codes.json",
    log:
        "results/{experiment}/logs{fold}/generator_codes.log",
    benchmark:
        "results/{experiment}/benchmarks{fold}/generator_codes.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=60,
    params:
        compute=section("compute"),
        code=code_of("generator.quality:encode_and_measure"),
    message:
        "Encoding the images of {wildcards.experiment}"
    script:
        "../scripts/generator/codes.py"
