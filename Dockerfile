# One image for every process of a location. Nothing is written to its disk at run time, and nobody
# in it is root. The Python is the one that CI tests with.
FROM python:3.11.16-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /sins
COPY requirements.txt ./
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --require-hashes --only-binary :all: -r requirements.txt
COPY . .
# Whom to trust is what the system trusts, or what is mounted there, for every library alike.
RUN ln -sf /etc/ssl/certs/ca-certificates.crt "$(/venv/bin/python -c 'import certifi; print(certifi.where())')" \
    && /venv/bin/python -m ops.docker.static \
    && /venv/bin/python -m compileall -q /sins /venv

FROM python:3.11.16-slim-bookworm@sha256:0bee7276f83efd4a1ee05bbbf4281d95ed28e079220a9457f25a93e3f1e3c31b
# Volumes take over the owner of the directory they are first mounted on.
RUN python -m pip uninstall --yes --quiet pip setuptools wheel \
    && groupadd --gid 10001 sins \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin sins \
    && install --directory --owner sins --group sins /certificates/authority /certificates/trust \
        /certificates/nginx /certificates/kafka /certificates/kafka2 /certificates/kafka3 \
        /certificates/kafka-setup
COPY --from=build /venv /venv
COPY --from=build /sins /sins
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=sins.settings SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /sins
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-m", "ops.docker.health", "http://127.0.0.1:8000/readyz"]
CMD ["python", "-m", "gunicorn", "--bind", "0.0.0.0:8000"]
