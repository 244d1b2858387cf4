-- Two roles, so that the services are never the owner of the history: the owner
-- migrates; the services log in as monedero_app, a member of monedero_service,
-- which holds the grants. Runs once, as superuser, on an empty data folder.
-- The passwords come from the environment of the container.

\getenv owner_password MONEDERO_OWNER_PASSWORD
\getenv app_password MONEDERO_APP_PASSWORD

create role monedero_service nologin;

create role monedero_owner login password :'owner_password';
grant monedero_service to monedero_owner;

create role monedero_app login password :'app_password';
grant monedero_service to monedero_app;

create database monedero owner monedero_owner;
