-- Views and matviews whose rows do not depend on labelled columns, for the fuzzer: it puts ten
-- relations into each statement, so one that is refused by design would make every statement refused.
create unique index people_email on people (email);
create index people_region on people (region);
create view pv_plain as select id, email, region from people;
create view pv_expr as select id, upper(email) as e, salary * 2 as s2, region from people;
create view pv_leftjoin as select p.id, d.name as dept, p.email from people p left join dept d on d.id = p.dept_id;
create view pv_agg as select region, count(*) as c, max(salary) as m from people group by region;
create view pv_union as select id, email as x from people union all select id, card from payments;
create view pv_star as select * from people;
create view pv_barrier with (security_barrier) as select id, email from people;
create view pv_nested as select id, e from pv_expr where id < 40;
create view pv_lateral as select p.id, l.x from people p, lateral (select p.email as x) l;
create materialized view pm_plain as select id, email, region from people;
analyze;
