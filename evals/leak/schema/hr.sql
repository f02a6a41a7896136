-- Personnel: one table with many types, one divided into partitions.
create schema hr;
create table hr.employees (
  id int primary key, dept text not null, boss int, title text not null,
  full_name text, ssn text, salary numeric(16,2), born date, badge uuid);
create table hr.reviews (id int primary key, employee_id int references hr.employees, score int not null, body text);
create table hr.absences (id int not null, dept text not null, days int not null, reason text) partition by list (dept);
create table hr.absences_it partition of hr.absences for values in ('it');
create table hr.absences_rest partition of hr.absences default;
