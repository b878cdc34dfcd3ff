"""G and E: an image from a code, a code from an image. Once for a domain of images, whatever the recognizer.

INPUTS:
    images          results/EXPERIMENT/dataset/images.bcolz
    table           results/EXPERIMENT/dataset/images.parquet
    attributes      results/EXPERIMENT/dataset/attributes.json
    source          the weights and the card that are brought; none where G is trained or shipped

OUTPUTS:
    weights         results/EXPERIMENT/generator/autoencoder.safetensors
    card            results/EXPERIMENT/generator/card.json
    codes           results/EXPERIMENT/generator/codes.bcolz
    metrics         results/EXPERIMENT/generator/metrics.json
    figure          results/EXPERIMENT/generator/reconstructions.png
    figure_decoded  results/EXPERIMENT/generator/reconstructions-decoded.png, without real images
"""


rule generator_train:
    """Trains G and E, or takes those that are shipped or brought."""
    input:
        manifests=[
            "results/{experiment}/dataset/manifest-dataset.json",
            *labels_manifests(),
        ],
        images=ancient("results/{experiment}/dataset/images.bcolz"),
        table=ancient(labelled("images.parquet")),
        attributes=ancient(labelled("attributes.json")),
        source=generator_source(),
    output:
        weights="results/{experiment}/generator/autoencoder.safetensors",
        card="results/{experiment}/generator/card.json",
        manifest="results/{experiment}/generator/manifest-generator_train.json",
    log:
        "results/{experiment}/logs/generator_train.log",
    benchmark:
        "results/{experiment}/benchmarks/generator_train.tsv"
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
            "results/{experiment}/dataset/manifest-dataset.json",
            "results/{experiment}/generator/manifest-generator_train.json",
        ],
        images=ancient("results/{experiment}/dataset/images.bcolz"),
        table=ancient("results/{experiment}/dataset/images.parquet"),
        weights=ancient("results/{experiment}/generator/autoencoder.safetensors"),
        card=ancient("results/{experiment}/generator/card.json"),
    output:
        codes=directory("results/{experiment}/generator/codes.bcolz"),
        metrics="results/{experiment}/generator/metrics.json",
        figure="results/{experiment}/generator/reconstructions.png",
        figure_decoded="results/{experiment}/generator/reconstructions-decoded.png",
        manifest="results/{experiment}/generator/manifest-generator_codes.json",
    log:
        "results/{experiment}/logs/generator_codes.log",
    benchmark:
        "results/{experiment}/benchmarks/generator_codes.tsv"
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
