#!/bin/sh
# Runs once, on an empty volume: the login of requests, a member of gateway_app and nothing else.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$POSTGRES_GATEWAY_PASSWORD" --username postgres --dbname "$POSTGRES_DB" <<'SQL'
create role gateway_app nologin nosuperuser nobypassrls;
create role gateway login nosuperuser nobypassrls password :'password' in role gateway_app;
SQL
