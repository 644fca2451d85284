#!/bin/sh
# Prepares a location as its tables' owner, then becomes the process it is given.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python}

tries=0
until "$python" - <<'PYTHON'
import os, pathlib, sys

import psycopg

file = os.environ.get("DATABASE_URL_FILE")
url = pathlib.Path(file).read_text().strip() if file else os.environ["DATABASE_URL"]
try:
    psycopg.connect(url, connect_timeout=3).close()
except psycopg.OperationalError:
    sys.exit(1)
PYTHON
do
    tries=$((tries + 1))
    if [ "$tries" -ge 60 ]; then
        echo "[entrypoint] the database does not answer" >&2
        exit 1
    fi
    sleep 1
done

"$python" manage.py migrate --noinput

wanted=${LOAD_SAMPLE_DATA:-${load_sample_data:-}}
case $(printf '%s' "$wanted" | tr '[:upper:]' '[:lower:]') in
1 | true | yes | on)
    echo "[entrypoint] LOAD_SAMPLE_DATA=1 → running python manage.py load_sample_data"
    "$python" manage.py load_sample_data
    ;;
esac

exec "$@"
