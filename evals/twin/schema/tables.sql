-- The evals' own schema, beside corpora/leaks/schema.sql in one database: every kind of type
-- labelled, and every kind of relation through which a labelled column can be reached. Rows come
-- from values.go; what stands on the rows is made by objects.sql afterwards.
create extension if not exists hstore;
create extension if not exists citext;
create extension if not exists tablefunc;
create extension if not exists dblink;
create extension if not exists pg_trgm;
create domain d_ssn as text;
create domain d_pin as int check (value > 0);
create type addr as (street text, zip text);
create type mood as enum ('sad', 'calm', 'happy');
create table dept (id int primary key, name text not null, boss_email text);
create table people (
  id int primary key, name varchar(40) not null, region text not null, dept_id int references dept, note text,
  email text, phone varchar(24), code char(8), nick citext,
  age int, big bigint, salary numeric(12,2), score float8,
  born date, seen timestamptz, dur interval, uid uuid, ok boolean,
  tags text[], nums int[], doc jsonb, ssn d_ssn, pin d_pin, home addr, feel mood,
  span int4range, ip inet, raw bytea, attrs hstore,
  mail_lower text generated always as (lower(email)) stored,
  age_next int generated always as (age + 1) stored,
  check (age < 200));
create table payments (id int primary key, person_id int references people, card text, amount numeric(10,2) not null, at date not null);
create table events (id int not null, actor text, region text not null, at timestamp not null) partition by list (region);
create table events_r0 partition of events for values in ('r0');
create table events_r1 partition of events for values in ('r1');
create table events_rest partition of events default;
create table bykey (id int, secret text) partition by range (secret);
create table bykey_low partition of bykey for values from (minvalue) to ('m');
create table bykey_high partition of bykey for values from ('m') to (maxvalue);
create table bykey_rest partition of bykey default;
create table base_log (id int, who text, line text);
create table special_log (extra text) inherits (base_log);
create table "Odd ""Name" ("E-Mail" text, "select" int, "ümlaut" text);
create table watched (id int primary key, email text, note text);
create table ruled (id int primary key, name text, email text);
create table guesses (id int, email text, amount numeric);
create table sink (id int, t text, n numeric);
create table notes (id int primary key, body text);
create schema hr;
create table hr.people (id int, email text, pay int);
