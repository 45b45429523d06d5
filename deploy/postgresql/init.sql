-- Roles and databases, made once, when the volume is empty. psql reads the passwords from their files itself, so that
-- they stand in no command line and no environment.
\set ON_ERROR_STOP on
\set temporal_password `cat /run/secrets/temporal_password`
\set journal_password `cat /run/secrets/journal_password`
SET log_statement = 'none';
SET log_min_error_statement = 'panic';

CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE ROLE holdfast LOGIN PASSWORD :'journal_password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE DATABASE holdfast OWNER holdfast;
REVOKE CONNECT ON DATABASE temporal, temporal_visibility, holdfast, postgres FROM PUBLIC;
