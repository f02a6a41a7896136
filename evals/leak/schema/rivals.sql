-- Roles for the other systems of the table, with what each needs in the database.

-- A plain read-only role: may read every relation, may write nowhere.
create role readonly login password 'evals';
grant select on all tables in schema shop, hr, clinic, bank to readonly;
alter role readonly set default_transaction_read_only = on;
