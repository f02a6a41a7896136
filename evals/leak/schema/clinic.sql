-- A clinic: containers (jsonb, arrays, composites) and inheritance.
create schema clinic;
create type clinic.contact as (street text, phone text);
create table clinic.patients (
  id int primary key, ward text not null,
  name text, mrn bigint, born date, history jsonb, allergies text[], contact clinic.contact);
create table clinic.visits (id int primary key, patient_id int references clinic.patients, ward text not null, diagnosis text, seen timestamptz);
create table clinic.samples (id int, kind text not null, result text);
create table clinic.samples_blood (rhesus text) inherits (clinic.samples);
