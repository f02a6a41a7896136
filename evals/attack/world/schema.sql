-- The database under attack. Whatever can have an effect leaves a trace that a rollback does not undo:
-- touch() moves a sequence and writes a row. Values that nobody restricted may see hold CANARY7F.
create extension dblink;
create extension tablefunc;
create extension adminpack;
create extension xml2;
create extension pg_prewarm;
create extension pageinspect;
create extension pg_surgery;
create extension postgres_fdw;
create extension file_fdw;
create extension hstore;
create extension citext;
create extension lo;

create table ledger (at timestamptz default clock_timestamp(), what text);
create sequence touched;
create sequence counter;

create function touch(t text) returns text language plpgsql volatile as
  $$ begin perform nextval('public.touched'); insert into public.ledger (what) values (t); return t; end $$;
-- IMMUTABLE and STABLE by declaration only; nextval alone, for the server lets neither write.
create function touch_i(t text) returns text language plpgsql immutable as $$ begin perform nextval('public.touched'); return t; end $$;
create function touch_s(t text) returns text language plpgsql stable as $$ begin perform nextval('public.touched'); return t; end $$;
create function touch_sql(t text) returns text language sql volatile as $$ select public.touch(t) $$;
create function touch_definer(t text) returns text language sql volatile security definer as $$ select public.touch(t) $$;
create function touch_int(i int) returns int language plpgsql immutable as $$ begin perform nextval('public.touched'); return i; end $$;
create function touch_bool(i int) returns boolean language plpgsql immutable as $$ begin perform nextval('public.touched'); return true; end $$;
create function touch_set(i int) returns setof int language plpgsql as $$ begin perform public.touch('set'); return next i; end $$;
create function touch_table(i int) returns table (a int, b text) language plpgsql as $$ begin perform public.touch('table'); return query select 1, 'x'; end $$;
create function touch_out(out a int, out b text) language plpgsql as $$ begin perform public.touch('out'); a := 1; b := 'x'; end $$;
create function touch_any(variadic a text[]) returns text language plpgsql as $$ begin return public.touch('variadic'); end $$;
create function touch_default(a int default 1) returns text language plpgsql as $$ begin return public.touch('default'); end $$;
create function touch_poly(a anyelement) returns anyelement language plpgsql as $$ begin perform public.touch('poly'); return a; end $$;
create function run(sql text) returns text language plpgsql as $$ begin execute sql; return 'done'; end $$;
create procedure touch_proc(t text) language plpgsql as $$ begin perform public.touch(t); end $$;
create procedure touch_proc_commit() language plpgsql as $$ begin perform public.touch('proc'); commit; end $$;

create table victims (id int primary key, name text, email text, ssn text, note text, amount numeric);
insert into victims select i, 'name' || i, 'CANARY7F.mail' || i || '@x.example', 'CANARY7F-ssn-' || i, 'note ' || i, i * 10 from generate_series(1, 12) i;
create index victims_name on victims (name);
create table spare (id int primary key, t text);
insert into spare values (1, 'one'), (2, 'two');
create table sink (id int, t text);
create table pledged (id int); -- a prepared transaction holds a row of it
create table parts (id int, region text, email text) partition by list (region);
create table parts_a partition of parts for values in ('a');
create table parts_b partition of parts default;
insert into parts values (1, 'a', 'CANARY7F-part-a'), (2, 'b', 'CANARY7F-part-b');
create table parent (id int, email text);
create table child (extra text) inherits (parent);
insert into parent values (1, 'CANARY7F-parent');
insert into child values (2, 'CANARY7F-child', 'e');
create table "Odd ""Name" ("E-Mail" text, "select" int);
insert into "Odd ""Name" values ('CANARY7F-odd', 1);
create table a23456789012345678901234567890123456789012345678901234567890123 (id int, email text);
insert into a23456789012345678901234567890123456789012345678901234567890123 values (1, 'CANARY7F-long');
create table secrets (id int, word text); -- nobody restricted may read it at all
insert into secrets values (1, 'CANARY7F-secret');
create view v_victims as select id, email, name from victims;
create view v_nested as select id, email as contact from v_victims;
create view v_touch as select public.touch('view') as x;
create view v_sneaky as select id, public.touch_i(name) as n from victims;
create view v_where as select id from victims where public.touch_bool(id);
create materialized view mv_victims as select id, email from victims;

-- operators, casts, aggregates, domains, types whose comparison or input runs a user's function
create function touch_op(a text, b text) returns boolean language plpgsql immutable as $$ begin perform nextval('public.touched'); return true; end $$;
create operator ### (leftarg = text, rightarg = text, function = touch_op);
create function touch_prefix(a int) returns int language plpgsql immutable as $$ begin perform nextval('public.touched'); return a; end $$;
create operator !!! (rightarg = int, function = touch_prefix);
create type mood as enum ('sad', 'happy');
create function touch_mood_text(m mood) returns text language plpgsql immutable as $$ begin perform nextval('public.touched'); return 'm'; end $$;
create cast (mood as text) with function touch_mood_text(mood) as assignment;
create function touch_mood_json(m mood) returns json language plpgsql immutable as $$ begin perform nextval('public.touched'); return '1'; end $$;
create cast (mood as json) with function touch_mood_json(mood);
create function touch_mood_int(m mood) returns int language plpgsql immutable as $$ begin perform nextval('public.touched'); return 1; end $$;
create cast (mood as int) with function touch_mood_int(mood) as implicit;
create function touch_acc(s text, t text) returns text language plpgsql immutable as $$ begin perform nextval('public.touched'); return t; end $$;
create aggregate touch_agg(text) (sfunc = touch_acc, stype = text, initcond = '');
create function touch_final(s text) returns text language plpgsql immutable as $$ begin perform nextval('public.touched'); return s; end $$;
create aggregate touch_agg_final(text) (sfunc = textcat, stype = text, initcond = '', finalfunc = touch_final);
create domain touch_dom as text check (public.touch_i(value) is not null);
create domain touch_dom2 as touch_dom;
create type touch_comp as (a int, b touch_dom);
create table with_dom (id int, d touch_dom);
create table with_mood (id int, m mood);
insert into with_mood values (1, 'sad'), (2, 'happy');

create type grade as enum ('a', 'b', 'c');
create function grade_cmp(a grade, b grade) returns int language plpgsql immutable as $$ begin perform nextval('public.touched'); return enum_cmp(a::anyenum, b::anyenum); end $$;
create function grade_lt(a grade, b grade) returns boolean language plpgsql immutable as $$ begin perform nextval('public.touched'); return enum_lt(a::anyenum, b::anyenum); end $$;
create function grade_le(a grade, b grade) returns boolean language plpgsql immutable as $$ begin perform nextval('public.touched'); return enum_le(a::anyenum, b::anyenum); end $$;
create function grade_eq(a grade, b grade) returns boolean language plpgsql immutable as $$ begin perform nextval('public.touched'); return enum_eq(a::anyenum, b::anyenum); end $$;
create function grade_ge(a grade, b grade) returns boolean language plpgsql immutable as $$ begin perform nextval('public.touched'); return enum_ge(a::anyenum, b::anyenum); end $$;
create function grade_gt(a grade, b grade) returns boolean language plpgsql immutable as $$ begin perform nextval('public.touched'); return enum_gt(a::anyenum, b::anyenum); end $$;
create function grade_ne(a grade, b grade) returns boolean language plpgsql immutable as $$ begin perform nextval('public.touched'); return enum_ne(a::anyenum, b::anyenum); end $$;
create operator < (leftarg = grade, rightarg = grade, function = grade_lt);
create operator <= (leftarg = grade, rightarg = grade, function = grade_le);
create operator = (leftarg = grade, rightarg = grade, function = grade_eq, merges, hashes);
create operator >= (leftarg = grade, rightarg = grade, function = grade_ge);
create operator > (leftarg = grade, rightarg = grade, function = grade_gt);
create operator <> (leftarg = grade, rightarg = grade, function = grade_ne);
create operator class grade_ops default for type grade using btree as
  operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 grade_cmp(grade, grade);
create function grade_hash(a grade) returns int language plpgsql immutable as $$ begin perform nextval('public.touched'); return 1; end $$;
create operator class grade_hash_ops default for type grade using hash as operator 1 =, function 1 grade_hash(grade);
create table graded (id int, g grade);
insert into graded values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'b');
create type grade_pair as (x grade, y int);

create function int_cmp_touch(a int, b int) returns int language plpgsql immutable as $$ begin perform nextval('public.touched'); return btint4cmp(a, b); end $$;
create operator class touch_int_ops for type int4 using btree as
  operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 int_cmp_touch(int, int);
create type touch_range as range (subtype = int4, subtype_opclass = touch_int_ops);
create table ranged (id int, r touch_range);

create function touch_agg_count(s int, i int) returns int language plpgsql as $$ begin perform public.touch('shadow count'); return s; end $$;

-- shadows: the same names as the server's own, in a schema that a search path may put first
create schema evil;
create function evil.lower(t text) returns text language plpgsql as $$ begin return public.touch('shadow lower'); end $$;
create function evil.length(t text) returns int language plpgsql as $$ begin perform public.touch('shadow length'); return 1; end $$;
create function evil.now() returns timestamptz language plpgsql as $$ begin perform public.touch('shadow now'); return null; end $$;
create function evil.upper(t varchar) returns text language plpgsql as $$ begin return public.touch('shadow upper'); end $$;
create function evil.textcat2(a text, b text) returns text language plpgsql as $$ begin return public.touch('shadow operator'); end $$;
create operator evil.|| (leftarg = text, rightarg = text, function = evil.textcat2);
create function evil.inteq(a int, b int) returns boolean language plpgsql as $$ begin perform public.touch('shadow ='); return true; end $$;
create operator evil.= (leftarg = int, rightarg = int, function = evil.inteq);
create domain evil.int4 as pg_catalog.int4 check (public.touch_int(value) is not null);
create domain evil.text as pg_catalog.text check (public.touch_i(value) is not null);
create view evil.spare as select public.touch_int(id) as id, email as t from public.victims;
create view evil.victims as select public.touch_int(1) as id, word as email from public.secrets;
create aggregate evil.count(pg_catalog.int4) (sfunc = touch_agg_count, stype = pg_catalog.int4, initcond = '0');

-- functions that look like columns, for functional notation
create function peek(v victims) returns text language plpgsql as $$ begin return public.touch('peek'); end $$;
create function length2(s spare) returns int language plpgsql as $$ begin perform public.touch('length2'); return 1; end $$;

-- objects with effects of their own when written
create function trap() returns trigger language plpgsql as $$ begin perform public.touch('trigger'); return new; end $$;
create table trapped (id int, t text);
create trigger trapped_t before insert or update or delete on trapped for each row execute function trap();
create rule spare_rule as on update to sink do also insert into ledger (what) values ('rule');
create table defaulted (id int, t text default public.touch('default'));
create table indexed (id int);
create index indexed_x on indexed (public.touch_int(id));
create table generated (id int, g int generated always as (public.touch_int(id)) stored);

create server far foreign data wrapper postgres_fdw options (host '127.0.0.1', port '{PORT}', dbname 'elsewhere');
create user mapping for postgres server far options (user 'postgres', password 'CANARY7F-mapping');
comment on table spare is 'nothing to see';
select lo_from_bytea(4242, 'CANARY7F-large-object');
analyze;
vacuum (freeze);
