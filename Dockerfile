# Written where no Docker was at hand: not yet built. The steps of pip were run by themselves.
# Built with `docker build -t eventabs .`; exports and run directories lie in /work:
#   docker run --rm --env DEEPSEEK_API_KEY --volume "$PWD:/work" --user "$(id -u):$(id -g)" eventabs run behaviors.csv
# --user: the files of the run are yours, and only yours to read.
FROM python:3.13-slim AS build
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist /source

FROM python:3.13-slim
COPY --from=build /dist /dist
RUN pip install --no-cache-dir "$(echo /dist/*.whl)[excel,s3,tokenizers]" \
    && rm -r /dist \
    && useradd --create-home --uid 1000 eventabs \
    && install --directory --owner eventabs --group eventabs /work
USER eventabs
WORKDIR /work
VOLUME /work
ENTRYPOINT ["eventabs"]
CMD ["--help"]
