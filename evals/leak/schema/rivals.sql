-- Roles for the other systems of the table. Rivals of the same database, each as its manual would have it.

-- May read every relation, may write nowhere.
create role readonly login;
grant usage on schema shop, hr, clinic, bank to readonly;
grant select on all tables in schema shop, hr, clinic, bank to readonly;
alter role readonly set default_transaction_read_only = on;

-- May read columns without a label; rivals.go adds the grants, column by column. Views it may not read.
create role columns_only login;
grant usage on schema shop, hr, clinic, bank to columns_only;
alter role columns_only set default_transaction_read_only = on;

-- Sees views of the tables in a schema of their own, labelled columns NULL; rivals.go makes them.
create role through_views login;
create schema masked;
grant usage on schema masked to through_views;
alter role through_views set search_path = masked;
alter role through_views set default_transaction_read_only = on;
