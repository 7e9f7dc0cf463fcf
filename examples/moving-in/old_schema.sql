-- The old product's own tables.
create table "Mandate" (id text primary key, name text not null, enabled boolean not null default true);
create table "UserInDB" (
  id text primary key, username text not null unique, email text, "fullName" text, "hashedPassword" text,
  enabled boolean not null default true, "isSysAdmin" boolean not null default false
);
create table "UserMandate" (id text primary key, "userId" text not null, "mandateId" text not null, enabled boolean not null default true);
create table "Role" (id text primary key, "mandateId" text, "roleLabel" text not null);
create table "UserMandateRole" (id text primary key, "userMandateId" text not null, "roleId" text not null);
create table "AccessRule" (
  id text primary key, "roleId" text not null, context text not null, item text, view boolean not null default false,
  read text, "create" text, update text, delete text
);
create table "Feature" (code text primary key, label text not null);
create table "FeatureInstance" (id text primary key, "mandateId" text not null, "featureCode" text not null, label text not null, enabled boolean not null default true);
create table "FeatureAccess" (id text primary key, "userId" text not null, "featureInstanceId" text not null, enabled boolean not null default true);
create table "FeatureAccessRole" (id text primary key, "featureAccessId" text not null, "roleId" text not null);
create table "Token" (
  id text primary key, "userId" text not null, authority text not null, "sessionId" text, "tokenPurpose" text, status text not null,
  "createdAt" double precision, "expiresAt" double precision not null
);
