#!/bin/sh
# Creates or updates the schema of both databases of the Temporal server; does nothing where they are up to date.
set -eu
SQL_PASSWORD=$(cat /run/secrets/temporal_password)
export SQL_PASSWORD
schema=/etc/temporal/schema/postgresql/v12

for pair in temporal:temporal temporal_visibility:visibility; do
    export SQL_DATABASE="${pair%%:*}"
    temporal-sql-tool setup-schema --version 0.0
    temporal-sql-tool update-schema --schema-dir "$schema/${pair##*:}/versioned"
done
