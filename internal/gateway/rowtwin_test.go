package gateway

import (
	"fmt"
	"strings"
	"testing"
)

// rowTwinSchema is a database of which "one" sees the rows of region r1. The hidden rows, HIDDEN, are what
// twins differ in. Sequences, which policies permit by themselves, and the shape of plans tell of them.
const rowTwinSchema = `
create table regions(code text primary key, note text);
insert into regions values ('r1', 'a'), ('r2', 'b'), ('r3', 'c'), ('r4', 'd');
create table customers(id serial primary key, region text references regions, name text unique, n int, email text);
insert into customers(id, region, name, n, email) select g, 'r1', 'own'||g, g, 'own'||g||'@x.example' from generate_series(1, 20) g;
create table vip(level int) inherits (customers);
create table mixin(n int, extra text);
create table both_(x int) inherits (customers, mixin);
create table orders(id int primary key, customer_id int references customers, amount numeric);
insert into orders select g, g, g * 10 from generate_series(1, 10) g;
create table visits(id int, region text not null, at date) partition by list (region);
create table visits_1 partition of visits for values in ('r1');
create table visits_2 partition of visits for values in ('r2');
create table visits_d partition of visits default;
insert into visits select g, 'r1', '2025-01-01' from generate_series(1, 10) g;
create table notes(id serial primary key, body text, ref int);
create view v_all as select * from customers;
create view v_agg as select count(*) as n, max(n) as top from customers;
create view v_deep as select * from v_all;
create view v_sub as select id, (select count(*) from customers) as c from notes;
create materialized view m_all as select region, count(*) from customers group by 1;
create function f_count() returns bigint language sql as 'select count(*) from public.customers';
create view v_fun as select f_count() as c;
create index on customers(region);
create index on customers((n * 2));
create statistics st on region, n from customers;
HIDDEN;
refresh materialized view m_all;
analyze;
`

const rowTwinPolicy = `
@id("in") permit (principal in Group::"regional", action == Action::"connect", resource);
@id("rest") permit (principal in Group::"regional", action in [Action::"read", Action::"write", Action::"notify", Action::"ddl"], resource in Connection::"shop")
  unless { resource in Table::"shop.public.customers" || resource in Table::"shop.public.visits" || resource in Table::"shop.public.mixin" };
@id("mixin") permit (principal in Group::"regional", action == Action::"read", resource in Table::"shop.public.mixin");
@id("cust") @where("region = principal.region") permit (principal in Group::"regional", action == Action::"read", resource in Table::"shop.public.customers");
@id("vis") @where("region = principal.region") permit (principal in Group::"regional", action == Action::"read", resource in Table::"shop.public.visits");
`

// rowTwin opens a gateway in front of one of the twins.
func rowTwin(t *testing.T, hidden string, labels bool) *world {
	return regionalWorld(t, strings.ReplaceAll(rowTwinSchema, "HIDDEN;", hidden+";"), rowTwinPolicy, labels, map[string]map[string]string{"one": {"region": "r1"}})
}

func TestTwinsThatDifferInHiddenRowsAnswerAlike(t *testing.T) {
	for name, labels := range map[string]bool{"alone": false, "with_masks": true} {
		t.Run(name, func(t *testing.T) {
			a := rowTwin(t, `insert into customers(id, region, name, n) select g, 'r2', 'h'||g, 0 from generate_series(100, 110) g;
				insert into visits select g, 'r2', '2025-01-01' from generate_series(1, 3) g; select setval('customers_id_seq', 200)`, labels)
			b := rowTwin(t, `insert into customers(id, region, name, n) select g, 'r3', 'k'||g||repeat('x', 900), 1000000000 from generate_series(5000, 9000) g;
				insert into vip(id, region, name, n, level) select g, 'r2', 'v'||g, g, 1 from generate_series(5000, 5100) g;
				insert into both_(id, region, name, n) select g, 'r2', 'b'||g, 77 from generate_series(5000, 5100) g;
				insert into visits select g, 'r4', '2025-01-01' from generate_series(1, 3000) g; select setval('customers_id_seq', 900000)`, labels)
			sa, sb := a.login("one"), b.login("one")
			defer sa.Close()
			defer sb.Close()
			works := 0
			for _, sql := range strings.Split(rowTwinStatements, "\n") {
				if sql = strings.TrimSpace(sql); sql == "" {
					continue
				}
				for _, form := range []string{"simple", "extended"} {
					var x, y *answer
					if form == "simple" {
						x, y = a.query(sa, sql), b.query(sb, sql)
					} else if !strings.Contains(sql, ";") && !strings.Contains(strings.ToLower(sql), "copy") && (strings.HasPrefix(sql, "select") || strings.HasPrefix(sql, "with")) {
						x, y = a.do(sa, pipeline(sql)...), b.do(sb, pipeline(sql)...)
					} else {
						continue
					}
					if len(x.errs) == 0 {
						works++
					}
					show := func(x *answer) string { return fmt.Sprint(x.rows, x.tags, x.errs, x.notices) }
					if show(x) != show(y) {
						t.Errorf("%s: %s\n one: %.400s\n two: %.400s", form, sql, show(x), show(y))
					}
				}
			}
			if works < 100 {
				t.Errorf("%d statements work only: the twins have little to say", works)
			}
		})
	}
}

const rowTwinStatements = `
select count(*), sum(n), max(n), min(id), max(length(name)) from customers
select * from customers order by id limit 3
select customers from customers order by id limit 1
select c.* from customers c order by 1 limit 1
select to_jsonb(c) from customers c order by id limit 1
select row_to_json(customers) from customers order by id limit 1
select name(customers) from customers order by id limit 1
select (customers).n from customers order by id limit 1
select (c).* from customers c order by id limit 1
select count(*) from vip
select count(*) from both_
select count(*) from mixin
select count(*), max(n) from only mixin
select * from mixin order by n desc limit 1
select count(*) from visits
select count(*) from visits_1
select count(*) from visits_2
select count(*) from visits_d
select * from v_all order by id desc limit 1
select * from v_agg
select * from v_deep
select * from v_sub
select * from m_all
select * from v_fun
select f_count()
select n / (n - 1000000000) from customers order by id limit 1
select id from customers where 1 / (n - 1000000000) < 5 order by id limit 2
select id from customers where n * n > 0 order by 1 limit 2
select id from customers where (name || 'x')::int > 0
select sum(n) over (order by id) from customers order by 1 desc limit 1
select percentile_cont(0.5) within group (order by n) from customers
select count(*) from customers tablesample system (100)
select count(*) from customers tablesample bernoulli (100)
select count(*) from customers tablesample bernoulli (100) repeatable (1)
select g, c.id from generate_series(1, 3) g left join lateral (select id from customers where id = g + 4998) c on true
select exists (select from customers where id between 4000 and 9000)
select (select max(n) from customers), array(select id from customers where id > 50)
select count(*) from customers a full join customers b on a.id = b.id + 1
select count(*) from customers cross join lateral (select from customers c2 where c2.region <> customers.region) x
select count(*) from customers natural full join notes
select count(*) from customers natural join visits
select count(*) from orders o left join customers c on c.id = o.customer_id
select * from customers where ctid is not null
select tableoid::regclass from customers
select xmin from customers
select pg_relation_size('customers'), pg_total_relation_size('customers'), pg_table_size('customers')
select pg_database_size(current_database())
select pg_size_pretty(pg_indexes_size('customers'))
select reltuples, relpages from pg_class where relname in ('customers', 'vip', 'visits_d', 'customers_pkey', 'm_all') order by relname
select relhassubclass, relfrozenxid::text::int > 0, relminmxid from pg_class where relname in ('customers')
select * from pg_stats
select * from pg_statistic
select * from pg_stats_ext
select * from pg_statistic_ext_data
select stxname, stxkeys from pg_statistic_ext
select * from pg_stat_user_tables
select * from pg_stat_all_indexes
select * from pg_statio_user_tables
select * from pg_stat_database
select * from pg_stat_activity
select * from pg_locks
select pg_stat_get_live_tuples('customers'::regclass)
select pg_stat_get_tuples_inserted('customers'::regclass), pg_stat_get_numscans('customers'::regclass)
select pg_stat_get_xact_tuples_returned('customers'::regclass)
select * from pg_sequences
select last_value from pg_sequences
select sequencename, start_value from pg_sequences order by 1
select setval('customers_id_seq', 1)
select pg_sequence_last_value('customers_id_seq'::regclass)
select pg_get_serial_sequence('customers', 'id')
explain analyze select 1 from customers
explain (analyze, timing off, summary off) select 1 from notes
declare c cursor with hold for select id from customers order by id desc
fetch 1 from c
fetch backward all from c
move all in c
close c
begin; declare c2 scroll cursor for select max(n) from customers; fetch all in c2; rollback
prepare p1 as select count(*), max(n) from customers
execute p1
prepare p2(int) as select count(*) from customers where id > $1
execute p2(10)
execute p2(4000)
copy customers to stdout
copy (select max(n) from customers) to stdout
copy customers(n) to stdout with (format csv)
copy visits to stdout
copy visits_2 to stdout
copy (select * from v_all) to stdout
table customers order by id desc limit 1
with c as materialized (select * from customers) select count(*), max(n) from c
with recursive r(i) as (select max(id) from customers union all select i + 1 from r where i < 25) select count(*) from r
with customers as (select 1 as id) select * from customers
with x as (insert into notes(id, body) select 1000 + count(*), max(n)::text from customers returning *) select * from x
with x as (update notes set body = (select max(n)::text from customers) returning body) select * from x
with x as (delete from notes where exists (select from customers where id > 4000) returning *) select count(*) from x
insert into notes(id, body) values (1, (select max(n) from customers)) on conflict (id) do update set body = (select min(name) from customers where n > 50) returning *
insert into notes(id, body) values (1, 'x') on conflict (id) do update set body = (select max(n) from customers) where exists (select from customers where id > 50) returning *
update notes n set body = c.name from customers c where c.id = 5000 returning n.*
update notes set body = 'y' where id = 1 returning (select count(*) from customers)
delete from notes using customers c where c.id > 4000
merge into notes n using customers c on c.id = n.id + 5000 when matched then update set body = 'hit' when not matched then do nothing
merge into notes n using (select max(n) as m from customers) c on true when matched then update set body = c.m::text
select body from notes order by id
insert into orders values (500, 105, 1)
insert into orders values (501, 5050, 1)
insert into orders values (502, 105, 1), (503, 5050, 1) on conflict do nothing
update orders set customer_id = 5050 where id = 1
update orders set customer_id = 105 where id = 2
update orders set amount = 3 where id = 3
delete from orders where id = 10
delete from regions where code = 'r2'
delete from regions where code = 'r3'
update regions set code = 'r9' where code = 'r4'
update regions set code = 'r9' where code = 'r3'
update regions set note = 'z' where code = 'r3'
insert into customers(id, region, name) values (105, 'r1', 'q')
insert into vip(id, name) values (5000, 'q')
insert into both_(id, name) values (5000, 'q')
insert into mixin values (1, 'x')
insert into visits values (1, 'r1', null)
update customers set n = 1
delete from customers where id > 4000
select * from customers for update
select id from customers where id > 4000 for update skip locked
select id from customers order by id limit 1 for share
select n.id from notes n, customers c where c.id > 4000 for update of n
lock table customers
lock table only vip
truncate customers
truncate orders, customers
truncate vip
truncate regions cascade
create table t1 (id int references customers)
create table t2 (like customers including all)
create table t3 () inherits (customers)
create table t4 (id int, region text, name text, n int, email text)
alter table t4 inherit customers
alter table t4 add foreign key (id) references customers
alter table t4 add foreign key (region) references regions
alter table customers add foreign key (n) references notes
alter table customers inherit t4
alter table visits_2 no inherit visits
alter table visits detach partition visits_2
alter table customers add check (n < 1000)
alter table customers add column z int default 1
alter table vip no inherit customers
alter table both_ no inherit mixin
alter table customers rename to mine
alter table customers rename column region to rx
alter table customers set schema pg_temp
alter table vip alter n set not null
alter index customers_pkey rename to pk2
drop table vip
drop table customers cascade
drop table visits_2
drop index customers_region_idx
drop view v_all
drop materialized view m_all
create unique index on customers(n)
create unique index on vip(n)
create index on both_(n)
create view mine as select * from customers
create materialized view mine as select * from customers
create table mine as select * from customers
select * into mine from customers
create rule r as on insert to notes do also select * from customers
create function leak() returns bigint language sql as 'select count(*) from customers'
create trigger tr before insert on notes for each row execute function suppress_redundant_updates_trigger()
create statistics st2 on id, n from customers
create publication p for table customers
create policy pp on customers using (true)
create sequence sq owned by customers.id
alter sequence customers_id_seq restart
alter sequence customers_id_seq minvalue 100
refresh materialized view m_all
analyze customers
vacuum customers
cluster customers using customers_pkey
reindex table customers
comment on column customers.n is 'x'
do $$ begin raise notice '%', (select max(n) from customers); end $$
call f_count()
select query_to_xml('select max(n) from customers', true, false, '')
select table_to_xml('customers', true, false, '')
select schema_to_xml('public', true, false, '')
select cursor_to_xml('c', 1, true, true, '')
select database_to_xml(true, true, '')
select ts_stat('select to_tsvector(name) from customers')
select * from ts_stat('select to_tsvector(name) from customers')
select dblink('', 'select 1')
select pg_get_expr(relpartbound, oid) from pg_class where relname = 'visits_1'
select pg_get_partition_constraintdef('visits_d'::regclass)
select attmissingval from pg_attribute where attrelid = 'customers'::regclass
select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = 'visits_1'::regclass
select relid, level from pg_partition_tree('visits')
select nspname, count(*) from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = 'public' group by 1
select indexrelid::regclass, indisvalid, indcheckxmin from pg_index where indrelid = 'customers'::regclass order by 1
select datname = current_database(), datfrozenxid is null from pg_database where datname = current_database()
select count(*) from information_schema.columns where table_name = 'customers'
select sequence_name, start_value from information_schema.sequences order by 1
select pg_relation_filepath('customers') is null
select gin_clean_pending_list('customers_pkey'), brin_summarize_new_values('customers_pkey')
select pg_column_size(c.*) from customers c order by id limit 1
select has_table_privilege('customers', 'select')
select currtid2('customers', '(0,1)')
select pg_visible_in_snapshot('1', pg_current_snapshot())
select pg_blocking_pids(pg_backend_pid())
select lo_import('/etc/passwd')
select json_populate_recordset(null::customers, '[{"id":1}]')
select json_agg(c order by id) from (select max(n) as id from customers) c
select xmlforest(max(n)) from customers
select grouping(region), count(*) from customers group by rollup (region) order by 1
select count(*) filter (where n > 50) from customers
select distinct region from customers
select region from customers group by region
select id from customers union all select id from vip order by 1 desc limit 1
select id from customers except select id from orders order by 1 desc limit 1
select id from customers intersect select 5050
values ((select max(n) from customers))
select case when (select count(*) from customers) > 100 then 1 / 0 else 0 end
select coalesce((select name from customers where id = 5050), 'none')
select 5050 in (select id from customers), 5050 = any (array(select id from customers)), 5050 <> all (select id from customers)
select nullif((select count(*) from customers), 20)
select unnest(array(select id from customers where id > 19))
select generate_series(1, (select count(*)::int from customers)) order by 1 desc limit 1
select rows from (select count(*) as rows from customers c(a, b, d, e, f)) q
select c.a from customers as c(a) order by 1 desc limit 1
select public.customers.id from public.customers order by 1 desc limit 1
select pg_catalog.count(*) from "public"."customers"
set enable_seqscan = off
select id from customers where n * 2 > 100 and 1 / (n - 1000000000) < 5
select count(*) from customers where region = 'r2' or id = 5050 or name = 'h105'
set enable_indexscan = off
set enable_nestloop = off
select count(*) from customers a join customers b using (region)
set row_security = off
select count(*) from customers
reset all
set transform_null_equals = on
set search_path = pg_catalog
select count(*) from public.customers
set search_path = public
listen x
notify x, 'y'
select pg_notify('x', (select max(n)::text from customers))
select count(*) from pg_stat_xact_user_tables
select * from pg_stat_progress_create_index
select * from pg_prepared_statements
select * from pg_cursors
select * from pg_publication_tables
select viewname, definition from pg_views where viewname = 'v_agg'
select count(*) from customers where region collate "C" = 'r2'
select set_config('search_path', 'public', false) from customers where id = 5050
select pg_advisory_lock(n) from customers
select pg_sleep(0) from customers limit 1
select pg_typeof(c) from customers c limit 1
select format('%s', c) from customers c order by id limit 1
select hashtext(c::text) from customers c order by id limit 1
select c = c from customers c limit 1
select (select c from customers c where c.id = 5050) is null
select count(c) from customers c left join lateral (select c.n) x on true
savepoint s
`
