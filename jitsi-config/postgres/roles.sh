#!/bin/sh
# Runs once, when the PostgreSQL container makes a new cluster: the database and the three roles that
# the migrations expect. They have passwords of their own, so no process needs the superuser's.
set -eu

psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    -v owner_password="$OWNER_DATABASE_PASSWORD" \
    -v app_password="$APP_DATABASE_PASSWORD" \
    -v audit_password="$AUDIT_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE teleconsult_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE role_telehealth LOGIN PASSWORD :'app_password';
CREATE ROLE role_audit LOGIN PASSWORD :'audit_password';
-- Whatever a migration forgets, this role cannot write.
ALTER ROLE role_audit SET default_transaction_read_only = on;
CREATE DATABASE teleconsult OWNER teleconsult_owner;
REVOKE ALL ON DATABASE teleconsult FROM PUBLIC;
GRANT CONNECT ON DATABASE teleconsult TO role_telehealth, role_audit;
SQL
