# warnsvc in a container: an ordinary user, nothing to compile, nothing in it that only builds need.
#
#   docker build -t warnsvc .
#   docker build -t warnsvc --build-arg PIP_INDEX_URL=… .        from a package index near you

FROM python:3.12-slim AS build
ARG PIP_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Dependencies first: they change less often than the code, and this layer is kept.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/warnsvc \
    && /opt/warnsvc/bin/python -m pip install --require-hashes -r requirements.lock \
    && python -m pip install --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY channels channels
COPY contacts contacts
COPY templates templates
COPY warnsvc warnsvc
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/warnsvc/bin/python -m pip install --no-deps /dist/*.whl

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/warnsvc --create-home warnsvc
COPY --from=build /opt/warnsvc /opt/warnsvc
ENV PATH=/opt/warnsvc/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    WARNSVC_HOST=0.0.0.0 \
    WARNSVC_PORT=8080 \
    WARNSVC_DATA_DIR=/var/lib/warnsvc \
    WARNSVC_LOG_FORMAT=json
USER 10001
WORKDIR /var/lib/warnsvc
VOLUME /var/lib/warnsvc
EXPOSE 8080
STOPSIGNAL SIGTERM
# Without a proxy: the question goes to this very container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os; from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:' + os.environ['WARNSVC_PORT'] + '/healthz', timeout=4)"]
ENTRYPOINT ["warnsvc"]
CMD ["serve"]
