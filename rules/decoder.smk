"""p(x given z): codes drawn for an embedding, decoded by G; and how like the person they are.

INPUTS:
    images              results/EXPERIMENT/dataset/images.bcolz
    table               results/EXPERIMENT/dataset/images.parquet
    codes               results/EXPERIMENT/generator/codes.bcolz
    shards              results/EXPERIMENT/RECOGNIZER/embeddings/shards
    generator_weights   results/EXPERIMENT/generator/autoencoder.safetensors
    generator_card      results/EXPERIMENT/generator/card.json
    recognizer_weights  results/EXPERIMENT/RECOGNIZER/recognizer/weights.safetensors
    recognizer_card     results/EXPERIMENT/RECOGNIZER/recognizer/card.json
    threshold           results/EXPERIMENT/RECOGNIZER/recognizer/threshold.json
    heads_weights       results/EXPERIMENT/attributes/heads.safetensors, where there are heads
    heads_card          results/EXPERIMENT/attributes/heads.json
    source              the authors' models, where they are run on a folder of images

OUTPUTS:
    weights             results/EXPERIMENT/RECOGNIZER/decoder/transformer.safetensors
    card                results/EXPERIMENT/RECOGNIZER/decoder/transformer.json
    samples             results/EXPERIMENT/RECOGNIZER/decoder/samples.bcolz
    samples_read        results/EXPERIMENT/RECOGNIZER/decoder/samples_read.bcolz
    samples_table       results/EXPERIMENT/RECOGNIZER/decoder/samples.parquet
    metrics             results/EXPERIMENT/RECOGNIZER/decoder/metrics.json
    figure              results/EXPERIMENT/RECOGNIZER/decoder/samples.png
    figure_decoded      results/EXPERIMENT/RECOGNIZER/decoder/samples-decoded.png, without real images
    reconstructed       results/EXPERIMENT/RECOGNIZER/decoder/folder-reconstructed, of a folder of images
    features            results/EXPERIMENT/RECOGNIZER/decoder/folder-features, its embeddings
    directions          results/EXPERIMENT/RECOGNIZER/decoder/folder-directions, eigenvectors of their covariance
    points              results/EXPERIMENT/RECOGNIZER/decoder/folder-points, random points of the sphere
    metrics             results/EXPERIMENT/RECOGNIZER/decoder/folder.json
"""


rule decoder_train:
    """Trains T, the distribution of codes given an embedding, or takes the authors'."""
    input:
        manifests=[
            "results/{experiment}{fold}/dataset/manifest-dataset.json",
            "results/{experiment}{fold}/generator/manifest-generator_train.json",
            "results/{experiment}{fold}/generator/manifest-generator_codes.json",
            "results/{experiment}/{recognizer}/recognizer/manifest-recognizer.json",
            "results/{experiment}/{recognizer}/embeddings/manifest-embeddings.json",
        ],
        images=ancient("results/{experiment}/dataset/images.bcolz"),
        table=ancient("results/{experiment}{fold}/dataset/images.parquet"),
        codes=ancient("results/{experiment}{fold}/generator/codes.bcolz"),
        shards=ancient("results/{experiment}/{recognizer}/embeddings/shards"),
        generator_weights=ancient("results/{experiment}{fold}/generator/autoencoder.safetensors"),
        generator_card=ancient("results/{experiment}{fold}/generator/card.json"),
        recognizer_weights=ancient("results/{experiment}/{recognizer}/recognizer/weights.safetensors"),
        recognizer_card=ancient("results/{experiment}/{recognizer}/recognizer/card.json"),
    output:
        weights="results/{experiment}{fold}/{recognizer}/decoder/transformer.safetensors",
        card="results/{experiment}{fold}/{recognizer}/decoder/transformer.json",
        manifest="results/{experiment}{fold}/{recognizer}/decoder/manifest-decoder_train.json",
    log:
        "results/{experiment}/logs{fold}/{recognizer}/decoder_train.log",
    benchmark:
        "results/{experiment}/benchmarks{fold}/{recognizer}/decoder_train.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=section("decoder"),
        compute=section("compute"),
        seed=configuration.seed,
        code=code_of("decoder.train:train_decoder"),
    message:
        "Training the decoder of recognizer {wildcards.recognizer}"
    script:
        "../scripts/decoder/train.py"


rule decoder_samples:
    """Draws codes for held-out embeddings, and attacks the recognizer with the images that they decode to."""
    input:
        **where_attributes_are_read(
            heads_weights=ancient("results/{experiment}{fold}/attributes/heads.safetensors"),
            heads_card=ancient("results/{experiment}{fold}/attributes/heads.json"),
        ),
        manifests=[
            "results/{experiment}{fold}/dataset/manifest-dataset.json",
            "results/{experiment}{fold}/generator/manifest-generator_train.json",
            "results/{experiment}{fold}/generator/manifest-generator_codes.json",
            *heads_manifests(),
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
        recognizer_weights=ancient("results/{experiment}/{recognizer}/recognizer/weights.safetensors"),
        recognizer_card=ancient("results/{experiment}/{recognizer}/recognizer/card.json"),
        transformer_weights=ancient("results/{experiment}{fold}/{recognizer}/decoder/transformer.safetensors"),
        transformer_card=ancient("results/{experiment}{fold}/{recognizer}/decoder/transformer.json"),
    output:
        **where_attributes_are_read(
            samples_read=directory("results/{experiment}{fold}/{recognizer}/decoder/samples_read.bcolz"),
        ),
        samples=directory("results/{experiment}{fold}/{recognizer}/decoder/samples.bcolz"),
        samples_table="results/{experiment}{fold}/{recognizer}/decoder/samples.parquet",
        metrics="results/{experiment}{fold}/{recognizer}/decoder/metrics.json",
        figure="results/{experiment}{fold}/{recognizer}/decoder/samples.png",
        figure_decoded="results/{experiment}{fold}/{recognizer}/decoder/samples-decoded.png",
        manifest="results/{experiment}{fold}/{recognizer}/decoder/manifest-decoder_samples.json",
    log:
        "results/{experiment}/logs{fold}/{recognizer}/decoder_samples.log",
    benchmark:
        "results/{experiment}/benchmarks{fold}/{recognizer}/decoder_samples.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        settings=section("decoder"),
        compute=section("compute"),
        seed=configuration.seed,
        n_boot=configuration.significance.bootstrap,
        code=code_of("decoder.attacks:sample_and_attack"),
    message:
        "Sampling from the decoder of recognizer {wildcards.recognizer}"
    script:
        "../scripts/decoder/samples.py"


rule decoder_folder:
    """Runs the authors' models on a folder of images, on directions of its embeddings and on random points."""
    input:
        source=generator_source(),
    output:
        reconstructed=directory("results/{experiment}/{recognizer}/decoder/folder-reconstructed"),
        features=directory("results/{experiment}/{recognizer}/decoder/folder-features"),
        directions=directory("results/{experiment}/{recognizer}/decoder/folder-directions"),
        points=directory("results/{experiment}/{recognizer}/decoder/folder-points"),
        metrics="results/{experiment}/{recognizer}/decoder/folder.json",
        manifest="results/{experiment}/{recognizer}/decoder/manifest-decoder_folder.json",
    log:
        "results/{experiment}/logs/{recognizer}/decoder_folder.log",
    benchmark:
        "results/{experiment}/benchmarks/{recognizer}/decoder_folder.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=folder_settings(),
        listing=folder_listing(),
        models=str(getattr(configuration.generator, "models", "")),
        compute=section("compute"),
        seed=configuration.seed,
        code=code_of("decoder.authors.run:run_on_folder"),
    message:
        "Running the authors' models on a folder of images"
    script:
        "../scripts/decoder/folder.py"
