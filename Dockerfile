# One image for every process of Teleconsult: `teleconsult serve | stream | relay | worker | gateway | migrate`.

# The API documentation page is the only browser part that the container serves: with JITSI_PUBLIC_URL
# set, the meeting itself comes from Jitsi's own web container.
FROM node:20.19.5-bookworm-slim AS browser
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

# Every package by hash, and wheels only: nothing is compiled, so no compiler is ever installed.
FROM python:3.11.14-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.txt ./
RUN python -m venv /opt/teleconsult/venv \
 && /opt/teleconsult/venv/bin/pip install --require-hashes --only-binary :all: -r requirements.txt

FROM python:3.11.14-slim-bookworm
# Looks at recordings and makes what browsers play.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ffmpeg \
 && rm -rf /var/lib/apt/lists/*
# A fixed number, so that a host folder with secrets can be given to exactly this user.
RUN groupadd --system --gid 10001 teleconsult \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin teleconsult \
 # A volume that is new takes its owner from here.
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/teleconsult/files
WORKDIR /opt/teleconsult
COPY --from=packages /opt/teleconsult/venv venv
COPY --from=browser /build/node_modules/swagger-ui-dist node_modules/swagger-ui-dist
COPY app app
COPY workers workers
COPY migrations migrations
# The folder itself is the program (as in a checkout), so the pages and migrations beside `app` are found.
RUN printf '#!/opt/teleconsult/venv/bin/python\nfrom app.cli import main\n\nmain()\n' > venv/bin/teleconsult \
 && chmod 0755 venv/bin/teleconsult \
 && venv/bin/python -m compileall -q app workers
ENV PATH=/opt/teleconsult/venv/bin:$PATH \
    PYTHONPATH=/opt/teleconsult \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=8080
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=4)"]
ENTRYPOINT ["teleconsult"]
CMD ["serve"]
