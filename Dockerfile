# One image for every service of docker-compose.yml. For linux/amd64: requirements.lock holds setuptools there only.
FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/ocd
COPY requirements.lock ./
RUN /opt/ocd/bin/pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE beat_schedule.py ./
COPY ocd ocd
COPY tasks tasks
COPY migrations migrations
RUN /opt/ocd/bin/pip install --no-deps --no-build-isolation .

FROM python:3.12-slim-bookworm
# A named volume takes owner and mode of the folder it is mounted on the first time.
RUN useradd --system --uid 10001 --user-group --home-dir /state --no-create-home --shell /usr/sbin/nologin ocd \
    && install -d -o ocd -g ocd -m 0700 /state /artifacts /scratch
COPY --from=build /opt/ocd /opt/ocd
ENV PATH=/opt/ocd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OCD_HOME=/state/home \
    OCD_ARTIFACT_URL=/artifacts \
    OCD_LOG_FORMAT=json
USER 10001
WORKDIR /state
# docker-compose.yml has a check that fits each service.
HEALTHCHECK NONE
CMD ["ocd", "--help"]
