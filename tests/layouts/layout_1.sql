-- The state schema of layout 1, as recorded by record.py.
create schema planhat_sync;

create table planhat_sync."runs" ("run_id" VARCHAR, "invocation_id" VARCHAR, "target" VARCHAR, "command" VARCHAR, "version" VARCHAR, "git_sha" VARCHAR, "started_at" TIMESTAMP, "finished_at" TIMESTAMP, "status" VARCHAR, "syncs" INTEGER, "inserted" BIGINT, "updated" BIGINT, "cleared" BIGINT, "deleted" BIGINT, "held" BIGINT, "rejected" BIGINT, "unknown" BIGINT, "calls" BIGINT, "bytes_sent" BIGINT);
insert into planhat_sync."runs" values
  ('00000000-0000-7000-8000-000000000001', '00000000-0000-4000-8000-000000000001', 'dev', 'sync', '0.1.0', '', '2026-01-01 06:00:00', '2026-01-01 06:00:00', 'partial', 4, 12, 0, 0, 0, 1, 3, 0, 5, 1523),
  ('00000000-0000-7000-8000-000000000002', '00000000-0000-4000-8000-000000000002', 'dev', 'sync', '0.1.0', '', '2026-01-02 06:00:00', '2026-01-02 06:00:00', 'partial', 4, 0, 6, 1, 0, 1, 3, 3, 6, 716),
  ('00000000-0000-7000-8000-000000000003', '00000000-0000-4000-8000-000000000003', 'dev', 'sync', '0.1.0', '', '2026-01-03 06:00:00', '2026-01-03 06:00:00', 'partial', 4, 0, 0, 0, 1, 1, 3, 3, 1, 0),
  ('00000000-0000-7000-8000-000000000004', '00000000-0000-4000-8000-000000000003', 'dev', 'sync', '0.1.0', '', '2026-01-04 06:00:00', null, 'interrupted', 1, null, null, null, null, null, null, null, null, null),
  ('00000000-0000-7000-8000-000000000005', '00000000-0000-4000-8000-000000000003', 'dev', 'sync', '0.1.0', '', '2026-01-05 06:00:00', null, 'running', 1, null, null, null, null, null, null, null, null, null);

create table planhat_sync."sync_runs" ("run_id" VARCHAR, "sync" VARCHAR, "model" VARCHAR, "object" VARCHAR, "mode" VARCHAR, "status" VARCHAR, "reason" VARCHAR, "rows_in_model" BIGINT, "inserted" BIGINT, "updated" BIGINT, "cleared" BIGINT, "deleted" BIGINT, "held" BIGINT, "rejected" BIGINT, "unknown" BIGINT, "seconds_compare" DOUBLE, "seconds_deliver" DOUBLE);
insert into planhat_sync."sync_runs" values
  ('00000000-0000-7000-8000-000000000001', 'companies', 'companies', 'company', 'upsert', 'partial', null, 8, 5, 0, 0, 0, 0, 3, 0, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000001', 'endusers', 'endusers', 'enduser', 'upsert', 'partial', null, 3, 2, 0, 0, 0, 1, 0, 0, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000001', 'notes', 'notes', 'note', 'upsert', 'success', null, 2, 2, 0, 0, 0, 0, 0, 0, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000001', 'usage', 'usage', 'metric', 'insert', 'success', null, 3, 3, 0, 0, 0, 0, 0, 0, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000002', 'companies', 'companies', 'company', 'upsert', 'partial', null, 7, 0, 4, 1, 0, 0, 3, 0, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000002', 'endusers', 'endusers', 'enduser', 'upsert', 'partial', null, 3, 0, 1, 0, 0, 1, 0, 0, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000002', 'notes', 'notes', 'note', 'upsert', 'partial', null, 3, 0, 1, 0, 0, 0, 0, 1, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000002', 'usage', 'usage', 'metric', 'insert', 'partial', null, 5, 0, 0, 0, 0, 0, 0, 2, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000003', 'companies', 'companies', 'company', 'upsert', 'partial', null, 6, 0, 0, 0, 1, 0, 3, 0, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000003', 'endusers', 'endusers', 'enduser', 'upsert', 'partial', null, 3, 0, 0, 0, 0, 1, 0, 0, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000003', 'notes', 'notes', 'note', 'upsert', 'partial', null, 3, 0, 0, 0, 0, 0, 0, 1, 0.01, 0.1),
  ('00000000-0000-7000-8000-000000000003', 'usage', 'usage', 'metric', 'insert', 'partial', null, 5, 0, 0, 0, 0, 0, 0, 2, 0.01, 0.1);

create table planhat_sync."batches" ("run_id" VARCHAR, "sync" VARCHAR, "batch" INTEGER, "operation" VARCHAR, "rows" BIGINT, "bytes" BIGINT, "state" VARCHAR, "http_status" INTEGER, "created" BIGINT, "updated" BIGINT, "unchanged" BIGINT, "attempts" INTEGER, "sent_at" TIMESTAMP, "answered_at" TIMESTAMP, "error" VARCHAR);
insert into planhat_sync."batches" values
  ('00000000-0000-7000-8000-000000000001', 'companies', 1, 'insert', 5, 961, 'accepted', 200, 5, 0, 0, 1, '2026-01-01 06:00:00', '2026-01-01 06:00:00', null),
  ('00000000-0000-7000-8000-000000000001', 'endusers', 1, 'insert', 2, 175, 'accepted', 200, 2, 0, 0, 1, '2026-01-01 06:00:00', '2026-01-01 06:00:00', null),
  ('00000000-0000-7000-8000-000000000001', 'notes', 500001, 'insert', 2, 119, 'accepted', 200, 2, 0, 0, 2, '2026-01-01 06:00:00', '2026-01-01 06:00:00', null),
  ('00000000-0000-7000-8000-000000000001', 'usage', 1, 'insert', 3, 271, 'accepted', 200, 3, 0, 0, 1, '2026-01-01 06:00:00', '2026-01-01 06:00:00', null),
  ('00000000-0000-7000-8000-000000000002', 'companies', 1, 'update', 4, 225, 'accepted', 200, 0, 4, 0, 1, '2026-01-02 06:00:00', '2026-01-02 06:00:00', null),
  ('00000000-0000-7000-8000-000000000002', 'companies', 1000001, 'clear', 1, 130, 'accepted', 200, 0, 1, 0, 1, '2026-01-02 06:00:00', '2026-01-02 06:00:00', null),
  ('00000000-0000-7000-8000-000000000002', 'endusers', 1, 'update', 1, 53, 'accepted', 200, 0, 1, 0, 1, '2026-01-02 06:00:00', '2026-01-02 06:00:00', null),
  ('00000000-0000-7000-8000-000000000002', 'notes', 1, 'update', 1, 69, 'accepted', 200, 0, 1, 0, 1, '2026-01-02 06:00:00', '2026-01-02 06:00:00', null),
  ('00000000-0000-7000-8000-000000000002', 'notes', 500001, 'insert', 1, 60, 'unknown', null, 0, 0, 0, 1, '2026-01-02 06:00:00', '2026-01-02 06:00:00', 'POST /conversations at api.planhat.com failed: the connection broke off ([Errno 104] Connection reset by peer). Planhat may have applied it.'),
  ('00000000-0000-7000-8000-000000000002', 'usage', 1, 'insert', 2, 181, 'unknown', null, 0, 0, 0, 1, '2026-01-02 06:00:00', '2026-01-02 06:00:00', 'POST /dimensiondata/*** at api.planhat.com failed: the connection broke off ([Errno 104] Connection reset by peer). Planhat may have applied it.'),
  ('00000000-0000-7000-8000-000000000003', 'companies', 2000001, 'delete', 1, 36, 'accepted', 200, 0, 0, 0, 1, '2026-01-03 06:00:00', '2026-01-03 06:00:00', null),
  ('00000000-0000-7000-8000-000000000004', 'companies', 1, 'update', 1, null, 'sending', null, null, null, null, null, null, null, null),
  ('00000000-0000-7000-8000-000000000005', 'usage', 1, 'insert', 1, null, 'sending', null, null, null, null, null, null, null, null);

create table planhat_sync."changes" ("run_id" VARCHAR, "sync" VARCHAR, "key" VARCHAR, "operation" VARCHAR, "planhat_id" VARCHAR, "changes" VARCHAR, "status" VARCHAR, "batch" INTEGER, "at" TIMESTAMP);
insert into planhat_sync."changes" values
  ('00000000-0000-7000-8000-000000000001', 'companies', 'c-1', 'insert', '64f000000000000000000001', null, 'accepted', 1, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'companies', 'c-2', 'insert', '64f000000000000000000002', null, 'accepted', 1, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'companies', 'c-3', 'insert', '64f000000000000000000003', null, 'accepted', 1, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'companies', 'c-4', 'insert', '64f000000000000000000004', null, 'accepted', 1, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'companies', 'c-5', 'insert', '64f000000000000000000005', null, 'accepted', 1, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'endusers', 'u-1', 'insert', '64f000000000000000000006', null, 'accepted', 1, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'endusers', 'u-2', 'insert', '64f000000000000000000007', null, 'accepted', 1, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'notes', 'n-1', 'insert', '64f000000000000000000008', null, 'accepted', 500001, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'notes', 'n-2', 'insert', '64f000000000000000000009', null, 'accepted', 500001, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'usage', 'm-1', 'insert', null, null, 'accepted', 1, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'usage', 'm-2', 'insert', null, null, 'accepted', 1, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000001', 'usage', 'm-3', 'insert', null, null, 'accepted', 1, '2026-01-01 06:00:00'),
  ('00000000-0000-7000-8000-000000000002', 'companies', 'c-1', 'update', '64f000000000000000000001', '{"custom.Seats":[null,1]}', 'accepted', 1, '2026-01-02 06:00:00'),
  ('00000000-0000-7000-8000-000000000002', 'companies', 'c-2', 'update', '64f000000000000000000002', '{"custom.Seats":[null,2]}', 'accepted', 1, '2026-01-02 06:00:00'),
  ('00000000-0000-7000-8000-000000000002', 'companies', 'c-3', 'update', '64f000000000000000000003', '{"custom.Seats":[null,3]}', 'accepted', 1, '2026-01-02 06:00:00'),
  ('00000000-0000-7000-8000-000000000002', 'companies', 'c-4', 'clear', '64f000000000000000000004', '{"phase":["Live",null],"tags":[["a","it''s b"],null],"custom.Plan Tier":["Gold",null],"custom.Score":[12.5,null],"custom.Since":["2026-03-01",null],"custom.Last Seen":["2026-03-01T12:30:00.000Z",null]}', 'accepted', 1000001, '2026-01-02 06:00:00'),
  ('00000000-0000-7000-8000-000000000002', 'companies', 'c-5', 'update', '64f000000000000000000005', '{"custom.Seats":[null,5]}', 'accepted', 1, '2026-01-02 06:00:00'),
  ('00000000-0000-7000-8000-000000000002', 'endusers', 'u-2', 'update', '64f000000000000000000007', '{"position":["CTO","CEO"]}', 'accepted', 1, '2026-01-02 06:00:00'),
  ('00000000-0000-7000-8000-000000000002', 'notes', 'n-1', 'update', '64f000000000000000000008', '{"subject":["Note 1","Memo 1"]}', 'accepted', 1, '2026-01-02 06:00:00'),
  ('00000000-0000-7000-8000-000000000002', 'notes', 'n-3', 'insert', null, null, 'unknown', 500001, '2026-01-02 06:00:00'),
  ('00000000-0000-7000-8000-000000000002', 'usage', 'm-4', 'insert', null, null, 'unknown', 1, '2026-01-02 06:00:00'),
  ('00000000-0000-7000-8000-000000000002', 'usage', 'm-5', 'insert', null, null, 'unknown', 1, '2026-01-02 06:00:00'),
  ('00000000-0000-7000-8000-000000000003', 'companies', 'c-5', 'delete', '64f000000000000000000005', null, 'accepted', 2000001, '2026-01-03 06:00:00');

create table planhat_sync."failures" ("sync" VARCHAR, "key" VARCHAR, "operation" VARCHAR, "status" VARCHAR, "code" VARCHAR, "message" VARCHAR, "first_seen_at" TIMESTAMP, "last_seen_at" TIMESTAMP, "attempts" INTEGER, "next_run" INTEGER, "values_hash" VARCHAR);
insert into planhat_sync."failures" values
  ('companies', 'c-6', 'set_aside', 'rejected', 'missing_required', 'name is NULL, Planhat requires it', '2026-01-01 06:00:00', '2026-01-04 06:00:00', 4, null, null),
  ('companies', 'c-7', 'set_aside', 'rejected', 'duplicate_key', 'several rows of the model have this key (2 rows)', '2026-01-01 06:00:00', '2026-01-04 06:00:00', 4, null, null),
  ('endusers', 'u-3', 'set_aside', 'held', 'parent_missing', 'companyId: companies has not brought this company to Planhat yet', '2026-01-01 06:00:00', '2026-01-03 06:00:00', 3, null, null),
  ('notes', 'n-3', 'insert', 'unknown', 'unknown_outcome', 'POST /conversations at api.planhat.com failed: the connection broke off ([Errno 104] Connection reset by peer). Planhat may have applied it.', '2026-01-02 06:00:00', '2026-01-02 06:00:00', 1, null, null),
  ('usage', 'm-4', 'insert', 'unknown', 'unknown_outcome', 'POST /dimensiondata/*** at api.planhat.com failed: the connection broke off ([Errno 104] Connection reset by peer). Planhat may have applied it.', '2026-01-02 06:00:00', '2026-01-02 06:00:00', 1, null, null),
  ('usage', 'm-5', 'insert', 'unknown', 'unknown_outcome', 'POST /dimensiondata/*** at api.planhat.com failed: the connection broke off ([Errno 104] Connection reset by peer). Planhat may have applied it.', '2026-01-02 06:00:00', '2026-01-02 06:00:00', 1, null, null);

create table planhat_sync."requests" ("run_id" VARCHAR, "sync" VARCHAR, "batch" INTEGER, "method" VARCHAR, "path" VARCHAR, "status" INTEGER, "milliseconds" DOUBLE, "request" VARCHAR, "response" VARCHAR);
insert into planhat_sync."requests" values
  ('00000000-0000-7000-8000-000000000001', 'companies', 1, 'PUT', '/companies', 200, 2.5, '[{"externalId":"c-1","name":"Acme 1","phase":"Live","tags":["a","it''s b"],"custom":{"Plan Tier":"Gold","Score":12.50,"Since":"2026-03-01T00:00:00.000Z","Last Seen":"2026-03-01T12:30:00.000Z"}},{"externalId":"c-2","name":"Acme 2","phase":"Live","tags":["a","it''s b"],"custom":{"Plan Tier":"Gold","Score":12.50,"Since":"2026-03-01T00:00:00.000Z","Last Seen":"2026-03-01T12:30:00.000Z"}},{"externalId":"c-3","name":"Acme 3","phase":"Live","tags":["a","it''s b"],"custom":{"Plan Tier":"Gold","Score":12.50,"Since":"2026-03-01T00:00:00.000Z","Last Seen":"2026-03-01T12:30:00.000Z"}},{"externalId":"c-4","name":"Acme 4","phase":"Live","tags":["a","it''s b"],"custom":{"Plan Tier":"Gold","Score":12.50,"Since":"2026-03-01T00:00:00.000Z","Last Seen":"2026-03-01T12:30:00.000Z"}},{"externalId":"c-5","name":"Acme 5","phase":"Live","tags":["a","it''s b"],"custom":{"Plan Tier":"Gold","Score":12.50,"Since":"2026-03-01T00:00:00.000Z","Last Seen":"2026-03-01T12:30:00.000Z"}}]', '{"created":5,"createdErrors":[],"insertsKeys":[{"_id":"64f000000000000000000001","externalId":"c-1"},{"_id":"64f000000000000000000002","externalId":"c-2"},{"_id":"64f000000000000000000003","externalId":"c-3"},{"_id":"64f000000000000000000004","externalId":"c-4"},{"_id":"64f000000000000000000005","externalId":"c-5"}],"updated":0,"updatedErrors":[],"updatesKeys":[],"nonupdates":0,"modified":[],"upsertedIds":["64f000000000000000000001","64f000000000000000000002","64f000000000000000000003","64f000000000000000000004","64f000000000000000000005"],"permissionErrors":[],"validationErrors":[]}'),
  ('00000000-0000-7000-8000-000000000001', 'endusers', 1, 'PUT', '/endusers', 200, 2.5, '[{"externalId":"u-1","companyId":"extid-c-1","email":"u1@example.com","position":"CTO"},{"externalId":"u-2","companyId":"extid-c-1","email":"u2@example.com","position":"CTO"}]', '{"created":2,"createdErrors":[],"insertsKeys":[{"_id":"64f000000000000000000006","externalId":"u-1"},{"_id":"64f000000000000000000007","externalId":"u-2"}],"updated":0,"updatedErrors":[],"updatesKeys":[],"nonupdates":0,"modified":[],"upsertedIds":["64f000000000000000000006","64f000000000000000000007"],"permissionErrors":[],"validationErrors":[]}'),
  ('00000000-0000-7000-8000-000000000001', 'notes', 500001, 'POST', '/conversations', 200, 2.5, '{"type":"note","companyId":"extid-c-1","subject":"Note 1"}', '{"_id":"64f000000000000000000008","archived":false,"type":"note","companyId":"64f000000000000000000001","subject":"Note 1","updatedAt":"2026-01-01T06:00:00.000Z","companyName":"Acme 1","custom":{},"__v":0}'),
  ('00000000-0000-7000-8000-000000000001', 'notes', 500001, 'POST', '/conversations', 200, 2.5, '{"type":"note","companyId":"extid-c-1","subject":"Note 2"}', '{"_id":"64f000000000000000000009","archived":false,"type":"note","companyId":"64f000000000000000000001","subject":"Note 2","updatedAt":"2026-01-01T06:00:00.000Z","companyName":"Acme 1","custom":{},"__v":0}'),
  ('00000000-0000-7000-8000-000000000001', 'usage', 1, 'POST', '/dimensiondata/***', 200, 2.5, '[{"dimensionId":"logins","externalId":"c-1","value":1.0,"date":"2026-03-01T08:00:00.000Z"},{"dimensionId":"logins","externalId":"c-1","value":2.0,"date":"2026-03-02T08:00:00.000Z"},{"dimensionId":"logins","externalId":"c-1","value":3.0,"date":"2026-03-03T08:00:00.000Z"}]', '{"processed":3,"errors":[]}'),
  ('00000000-0000-7000-8000-000000000002', 'companies', 1, 'PUT', '/companies', 200, 2.5, '[{"_id":"64f000000000000000000001","custom":{"Seats":1}},{"_id":"64f000000000000000000002","custom":{"Seats":2}},{"_id":"64f000000000000000000003","custom":{"Seats":3}},{"_id":"64f000000000000000000005","custom":{"Seats":5}}]', '{"created":0,"createdErrors":[],"insertsKeys":[],"updated":4,"updatedErrors":[],"updatesKeys":[{"_id":"64f000000000000000000001","externalId":"c-1"},{"_id":"64f000000000000000000002","externalId":"c-2"},{"_id":"64f000000000000000000003","externalId":"c-3"},{"_id":"64f000000000000000000005","externalId":"c-5"}],"nonupdates":0,"modified":["64f000000000000000000001","64f000000000000000000002","64f000000000000000000003","64f000000000000000000005"],"upsertedIds":[],"permissionErrors":[],"validationErrors":[]}'),
  ('00000000-0000-7000-8000-000000000002', 'companies', 1000001, 'PUT', '/companies', 200, 2.5, '[{"_id":"64f000000000000000000004","phase":null,"tags":[],"custom":{"Plan Tier":null,"Score":null,"Since":null,"Last Seen":null}}]', '{"created":0,"createdErrors":[],"insertsKeys":[],"updated":1,"updatedErrors":[],"updatesKeys":[{"_id":"64f000000000000000000004","externalId":"c-4"}],"nonupdates":0,"modified":["64f000000000000000000004"],"upsertedIds":[],"permissionErrors":[],"validationErrors":[]}'),
  ('00000000-0000-7000-8000-000000000002', 'endusers', 1, 'PUT', '/endusers', 200, 2.5, '[{"_id":"64f000000000000000000007","position":"CEO"}]', '{"created":0,"createdErrors":[],"insertsKeys":[],"updated":1,"updatedErrors":[],"updatesKeys":[{"_id":"64f000000000000000000007","externalId":"u-2"}],"nonupdates":0,"modified":["64f000000000000000000007"],"upsertedIds":[],"permissionErrors":[],"validationErrors":[]}'),
  ('00000000-0000-7000-8000-000000000002', 'notes', 1, 'PUT', '/conversations', 200, 2.5, '[{"type":"note","_id":"64f000000000000000000008","subject":"Memo 1"}]', '{"created":0,"createdErrors":[],"insertsKeys":[],"updated":1,"updatedErrors":[],"updatesKeys":[{"_id":"64f000000000000000000008"}],"nonupdates":0,"modified":["64f000000000000000000008"],"upsertedIds":[],"permissionErrors":[],"validationErrors":[]}'),
  ('00000000-0000-7000-8000-000000000002', 'notes', 500001, 'POST', '/conversations', null, 2.5, '{"type":"note","companyId":"extid-c-1","subject":"Note 3"}', 'the connection broke off ([Errno 104] Connection reset by peer)'),
  ('00000000-0000-7000-8000-000000000002', 'usage', 1, 'POST', '/dimensiondata/***', null, 2.5, '[{"dimensionId":"logins","externalId":"c-1","value":4.0,"date":"2026-03-04T08:00:00.000Z"},{"dimensionId":"logins","externalId":"c-1","value":5.0,"date":"2026-03-05T08:00:00.000Z"}]', 'the connection broke off ([Errno 104] Connection reset by peer)'),
  ('00000000-0000-7000-8000-000000000003', 'companies', null, 'DELETE', '/companies/64f000000000000000000005', 200, 2.5, null, '{"n":1,"ok":1,"deletedCount":1}');

create table planhat_sync."meta" ("setting" VARCHAR, "value" VARCHAR, "updated_at" TIMESTAMP);
insert into planhat_sync."meta" values
  ('lease', '{"run_id": "00000000-0000-7000-8000-000000000005", "host": "elsewhere", "pid": 1, "command": "sync", "since": "2026-01-05 06:00:00", "until": "2026-01-05 06:00:00", "started": ""}', '2026-01-05 06:00:00'),
  ('mapping:companies', '{"version":2,"object":"company","match":"externalId","fields":{"name":{"column":"name","type":"varchar","fingerprint":"column:text","since":1},"phase":{"column":"phase","type":"varchar","fingerprint":"column:text","since":1},"tags":{"column":"tags","type":"VARCHAR[]","fingerprint":"column:nested","since":1},"custom.Plan Tier":{"column":"custom_plan_tier","type":"varchar","fingerprint":"column:text","since":1},"custom.Score":{"column":"custom_score","type":"DECIMAL(9,2)","fingerprint":"column:decimal","since":1},"custom.Since":{"column":"custom_since","type":"DATE","fingerprint":"column:date","since":1},"custom.Last Seen":{"column":"custom_last_seen","type":"TIMESTAMP WITH TIME ZONE","fingerprint":"column:timestamptz","since":1},"custom.Seats":{"column":"custom_seats","type":"INTEGER","fingerprint":"column:integer","since":2}}}', '2026-01-02 06:00:00'),
  ('mapping:endusers', '{"version":1,"object":"enduser","match":"externalId","fields":{"companyId":{"column":"companyId","type":"varchar","fingerprint":"company:externalId","since":1},"email":{"column":"email","type":"varchar","fingerprint":"column:text","since":1},"position":{"column":"position","type":"varchar","fingerprint":"column:text","since":1}}}', '2026-01-01 06:00:00'),
  ('mapping:notes', '{"version":1,"object":"note","match":"","fields":{"companyId":{"column":"companyId","type":"varchar","fingerprint":"company:externalId","since":1},"subject":{"column":"subject","type":"varchar","fingerprint":"column:text","since":1}}}', '2026-01-01 06:00:00'),
  ('mapping:usage', '{"version":1,"object":"metric","match":"","fields":{"dimensionId":{"column":"dimensionId","type":"varchar","fingerprint":"column:text","since":1},"externalId":{"column":"externalId","type":"varchar","fingerprint":"column:text","since":1},"value":{"column":"value","type":"DOUBLE","fingerprint":"column:float","since":1},"date":{"column":"date","type":"timestamp","fingerprint":"column:timestamp","since":1}}}', '2026-01-01 06:00:00'),
  ('schema_version', '1', '2026-01-01 06:00:00'),
  ('tenant:companies', 'b584adbdb0812dfa:2548669237f1542c', '2026-01-01 06:00:00'),
  ('tenant:endusers', 'b584adbdb0812dfa:2548669237f1542c', '2026-01-01 06:00:00'),
  ('tenant:notes', 'b584adbdb0812dfa:2548669237f1542c', '2026-01-01 06:00:00'),
  ('tenant:usage', 'b584adbdb0812dfa:2548669237f1542c', '2026-01-01 06:00:00');

create table planhat_sync."plan__companies" ("_row" BIGINT, "_batch" INTEGER, "_operation" VARCHAR, "_code" VARCHAR, "_message" VARCHAR, "_key" VARCHAR, "_planhat_id" VARCHAR, "_prior" VARCHAR, "_origin" VARCHAR, "_first_synced_at" TIMESTAMP, "_changed" VARCHAR, "_changes" VARCHAR, "name" VARCHAR, "phase" VARCHAR, "tags" VARCHAR[], "custom_plan_tier" VARCHAR, "custom_score" DECIMAL(9,2), "custom_since" DATE, "custom_last_seen" TIMESTAMP WITH TIME ZONE, "custom_seats" INTEGER);
insert into planhat_sync."plan__companies" values
  (1, 1, 'update', null, null, 'c-2', '64f000000000000000000002', 'synced', 'created', '2026-01-01 06:00:00', '["phase"]', '{"phase":["Live","Risk"]}', 'Acme 2', 'Risk', ['a', 'it''s b'], 'Gold', '12.50', '2026-03-01', '2026-03-01 12:30:00+00:00', 2),
  (2, null, null, 'duplicate_key', 'several rows of the model have this key', 'c-7', null, null, null, null, null, null, 'Acme 7', 'Live', ['a', 'it''s b'], 'Gold', '12.50', '2026-03-01', '2026-03-01 12:30:00+00:00', 7),
  (3, null, null, 'duplicate_key', 'several rows of the model have this key', 'c-7', null, null, null, null, null, null, 'Acme 7', 'Live', ['a', 'it''s b'], 'Gold', '12.50', '2026-03-01', '2026-03-01 12:30:00+00:00', 7),
  (4, null, null, 'missing_required', 'name is NULL, Planhat requires it', 'c-6', null, null, null, null, null, null, null, 'Live', ['a', 'it''s b'], 'Gold', '12.50', '2026-03-01', '2026-03-01 12:30:00+00:00', 6);

create table planhat_sync."plan__endusers" ("_row" BIGINT, "_batch" INTEGER, "_operation" VARCHAR, "_code" VARCHAR, "_message" VARCHAR, "_key" VARCHAR, "_planhat_id" VARCHAR, "_prior" VARCHAR, "_origin" VARCHAR, "_first_synced_at" TIMESTAMP, "_changed" VARCHAR, "_changes" VARCHAR, "companyId" VARCHAR, "email" VARCHAR, "position" VARCHAR);
insert into planhat_sync."plan__endusers" values
  (1, null, null, 'parent_missing', 'companyId: companies has not brought this company to Planhat yet', 'u-3', null, null, null, null, null, null, 'c-9', 'u3@example.com', 'CTO');

create table planhat_sync."plan__notes" ("_row" BIGINT, "_batch" INTEGER, "_operation" VARCHAR, "_code" VARCHAR, "_message" VARCHAR, "_key" VARCHAR, "_planhat_id" VARCHAR, "_prior" VARCHAR, "_origin" VARCHAR, "_first_synced_at" TIMESTAMP, "_changed" VARCHAR, "_changes" VARCHAR, "companyId" VARCHAR, "subject" VARCHAR);
insert into planhat_sync."plan__notes" values
  (1, null, null, 'unknown', 'sent before, outcome not learnt', 'n-3', null, null, null, null, null, null, 'c-1', 'Note 3');

create table planhat_sync."plan__usage" ("_row" BIGINT, "_batch" INTEGER, "_operation" VARCHAR, "_code" VARCHAR, "_message" VARCHAR, "_key" VARCHAR, "_planhat_id" VARCHAR, "_prior" VARCHAR, "_origin" VARCHAR, "_first_synced_at" TIMESTAMP, "_changed" VARCHAR, "_changes" VARCHAR, "dimensionId" VARCHAR, "externalId" VARCHAR, "value" DOUBLE, "date" TIMESTAMP);
insert into planhat_sync."plan__usage" values
  (1, null, null, 'unknown', 'sent before, outcome not learnt', 'm-4', null, null, null, null, null, null, 'logins', 'c-1', 4.0, '2026-03-04 08:00:00'),
  (2, null, null, 'unknown', 'sent before, outcome not learnt', 'm-5', null, null, null, null, null, null, 'logins', 'c-1', 5.0, '2026-03-05 08:00:00'),
  (3, 1, 'insert', null, null, 'm-6', null, null, null, null, null, null, 'logins', 'c-1', 6.0, '2026-03-06 08:00:00');

create table planhat_sync."snapshot__companies" ("_key" VARCHAR, "_planhat_id" VARCHAR, "_state" VARCHAR, "_origin" VARCHAR, "_mapping" INTEGER, "_first_synced_at" TIMESTAMP, "_synced_at" TIMESTAMP, "_run_id" VARCHAR, "name" VARCHAR, "phase" VARCHAR, "tags" VARCHAR[], "custom_plan_tier" VARCHAR, "custom_score" DECIMAL(9,2), "custom_since" DATE, "custom_last_seen" TIMESTAMP WITH TIME ZONE, "custom_seats" INTEGER);
insert into planhat_sync."snapshot__companies" values
  ('c-1', '64f000000000000000000001', 'synced', 'created', 2, '2026-01-01 06:00:00', '2026-01-02 06:00:00', '00000000-0000-7000-8000-000000000002', 'Acme 1', 'Live', ['a', 'it''s b'], 'Gold', '12.50', '2026-03-01', '2026-03-01 12:30:00+00:00', 1),
  ('c-2', '64f000000000000000000002', 'synced', 'created', 2, '2026-01-01 06:00:00', '2026-01-02 06:00:00', '00000000-0000-7000-8000-000000000002', 'Acme 2', 'Live', ['a', 'it''s b'], 'Gold', '12.50', '2026-03-01', '2026-03-01 12:30:00+00:00', 2),
  ('c-3', '64f000000000000000000003', 'synced', 'created', 2, '2026-01-01 06:00:00', '2026-01-02 06:00:00', '00000000-0000-7000-8000-000000000002', 'Acme 3', 'Live', ['a', 'it''s b'], 'Gold', '12.50', '2026-03-01', '2026-03-01 12:30:00+00:00', 3),
  ('c-4', '64f000000000000000000004', 'cleared', 'created', 2, '2026-01-01 06:00:00', '2026-01-02 06:00:00', '00000000-0000-7000-8000-000000000002', 'Acme 4', null, null, null, null, null, null, null),
  ('c-5', '64f000000000000000000005', 'deleted', 'created', 2, '2026-01-01 06:00:00', '2026-01-03 06:00:00', '00000000-0000-7000-8000-000000000003', null, null, null, null, null, null, null, null);

create table planhat_sync."snapshot__endusers" ("_key" VARCHAR, "_planhat_id" VARCHAR, "_state" VARCHAR, "_origin" VARCHAR, "_mapping" INTEGER, "_first_synced_at" TIMESTAMP, "_synced_at" TIMESTAMP, "_run_id" VARCHAR, "companyId" VARCHAR, "email" VARCHAR, "position" VARCHAR);
insert into planhat_sync."snapshot__endusers" values
  ('u-1', '64f000000000000000000006', 'synced', 'created', 1, '2026-01-01 06:00:00', '2026-01-01 06:00:00', '00000000-0000-7000-8000-000000000001', 'c-1', 'u1@example.com', 'CTO'),
  ('u-2', '64f000000000000000000007', 'synced', 'created', 1, '2026-01-01 06:00:00', '2026-01-02 06:00:00', '00000000-0000-7000-8000-000000000002', 'c-1', 'u2@example.com', 'CEO');

create table planhat_sync."snapshot__notes" ("_key" VARCHAR, "_planhat_id" VARCHAR, "_state" VARCHAR, "_origin" VARCHAR, "_mapping" INTEGER, "_first_synced_at" TIMESTAMP, "_synced_at" TIMESTAMP, "_run_id" VARCHAR, "companyId" VARCHAR, "subject" VARCHAR);
insert into planhat_sync."snapshot__notes" values
  ('n-1', '64f000000000000000000008', 'synced', 'created', 1, '2026-01-01 06:00:00', '2026-01-02 06:00:00', '00000000-0000-7000-8000-000000000002', 'c-1', 'Memo 1'),
  ('n-2', '64f000000000000000000009', 'synced', 'created', 1, '2026-01-01 06:00:00', '2026-01-01 06:00:00', '00000000-0000-7000-8000-000000000001', 'c-1', 'Note 2');

create table planhat_sync."snapshot__usage" ("_key" VARCHAR, "_planhat_id" VARCHAR, "_state" VARCHAR, "_origin" VARCHAR, "_mapping" INTEGER, "_first_synced_at" TIMESTAMP, "_synced_at" TIMESTAMP, "_run_id" VARCHAR, "dimensionId" VARCHAR, "externalId" VARCHAR, "value" DOUBLE, "date" TIMESTAMP);
insert into planhat_sync."snapshot__usage" values
  ('m-1', null, 'synced', 'matched', 1, '2026-01-01 06:00:00', '2026-01-01 06:00:00', '00000000-0000-7000-8000-000000000001', 'logins', 'c-1', 1.0, '2026-03-01 08:00:00'),
  ('m-2', null, 'synced', 'matched', 1, '2026-01-01 06:00:00', '2026-01-01 06:00:00', '00000000-0000-7000-8000-000000000001', 'logins', 'c-1', 2.0, '2026-03-02 08:00:00'),
  ('m-3', null, 'synced', 'matched', 1, '2026-01-01 06:00:00', '2026-01-01 06:00:00', '00000000-0000-7000-8000-000000000001', 'logins', 'c-1', 3.0, '2026-03-03 08:00:00');
