"""The statements that write `years`: each table's rows, worked out from the number of a session."""

# A UUIDv7 that can be worked out again: what refers to a row need not look it up. Not immutable,
# since extract() is not, and only then PostgreSQL writes it into the statement.
MAKE_ID = """
    CREATE OR REPLACE FUNCTION pg_temp.id(at timestamptz, kind text, number bigint)
    RETURNS uuid LANGUAGE sql STABLE AS $$
      SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || kind || '8'
        || lpad(to_hex(number), 15, '0'))::uuid $$"""

# Of twenty sessions the demo hospital has ten; the last of all are later today.
PLAN = """
    CREATE TEMP TABLE years_plan AS
    SELECT %(now)s::timestamptz + interval '8 hours'
        - %(count)s * (interval '1 day' / %(a_day)s) AS first,
      interval '1 day' / %(a_day)s AS step, %(now)s::timestamptz AS now,
      greatest(%(count)s / 20, 1) AS patients, 40 AS providers;
    CREATE TEMP TABLE years_organisations AS
    SELECT place, first, share,
      CASE place WHEN 0 THEN %(organisation)s::uuid
        ELSE pg_temp.id(%(now)s::timestamptz, '00f', place) END AS id
    FROM (VALUES (0, 0, 10), (1, 10, 4), (2, 14, 3), (3, 17, 2), (4, 19, 1))
      shares (place, first, share)"""

ORGANISATIONS = """
    INSERT INTO teleconference.organisations (id, name, created_at)
    SELECT id, 'Hospital ' || place, (SELECT first FROM years_plan)
    FROM years_organisations WHERE place > 0"""

PEOPLE = """
    INSERT INTO clinical.{table} (id, organisation_id, reference, display_name, updated_at)
    SELECT pg_temp.id(p.first, '{kind}', o.place * 1000000000::bigint + n), o.id,
      '{table}-' || n, 'Person ' || n, p.first
    FROM years_plan p, years_organisations o, generate_series(0, p.{table} - 1) n"""

PARTITIONS = """
    SELECT teleconference.make_audit_partition(month) FROM years_plan, generate_series(
      date_trunc('month', first - interval '8 days'), now, interval '1 month') month"""

# Everything else is told from these rows.
SESSIONS = """
    CREATE TEMP TABLE years_part ON COMMIT DROP AS
    SELECT n, o.place, o.id AS organisation_id, o.place * 1000000000::bigint AS base,
      (n / 20) * o.share + n %% 20 - o.first AS rank, p.now, made AS created_at, planned_start,
      pg_temp.id(made, '001', n) AS id,
      CASE WHEN n %% 10 = 9 THEN 'cancelled' WHEN planned_start > p.now THEN 'scheduled'
        WHEN planned_start > p.now - interval '30 min' THEN 'active' ELSE 'ended' END AS state,
      pg_temp.id(p.first, '00a', o.place * 1000000000::bigint + (n * 7919) %% p.patients)
        AS patient_id,
      pg_temp.id(p.first, '00b', o.place * 1000000000::bigint + (n * 31) %% p.providers)
        AS provider_id
    FROM generate_series(%(since)s::bigint, %(until)s::bigint - 1) n
    JOIN years_organisations o ON n %% 20 BETWEEN o.first AND o.first + o.share - 1
    CROSS JOIN years_plan p
    CROSS JOIN LATERAL (
      SELECT p.first + n * p.step AS planned_start, p.first + n * p.step - interval '7 days' AS made
    ) times;

    INSERT INTO teleconference.sessions (id, organisation_id, kind, state, reference, room_name,
      capacity, planned_start, planned_end, started_at, ended_at, end_reason, event_sequence,
      version, created_at, visit_type, due_at)
    SELECT id, organisation_id, CASE WHEN n %% 50 = 7 THEN 'emergency' ELSE 'consultation' END,
      state, 'case-' || n, left(translate(md5(n::text), '0189', 'wxyz'), 20), 10, planned_start,
      planned_start + interval '30 min',
      CASE WHEN state IN ('active', 'ended') THEN planned_start END,
      CASE WHEN state = 'ended' THEN planned_start + interval '25 min' END,
      CASE WHEN state = 'ended' THEN 'done' END, 5, 3, created_at, 'consultation',
      CASE WHEN state = 'active' THEN planned_start + interval '1 day'
           WHEN state = 'scheduled' THEN planned_start END
    FROM years_part"""

PARTICIPANTS = """
    CREATE TEMP TABLE years_people ON COMMIT DROP AS
    SELECT s.*, seat, s.n * 3 + seat AS number,
      s.created_at + seat * interval '1 second' AS invited_at,
      pg_temp.id(s.created_at + seat * interval '1 second', '002', s.n * 3 + seat) AS person_id
    FROM years_part s, generate_series(0, 2) seat;

    INSERT INTO teleconference.participants (id, organisation_id, session_id, role, state,
      display_name, email, locale, reference, created_at)
    SELECT person_id, organisation_id, id, (ARRAY['doctor', 'patient', 'relative'])[seat + 1],
      CASE WHEN state = 'ended' AND seat < 2 THEN 'left' WHEN state = 'active' AND seat < 2
        THEN 'joined' ELSE 'invited' END,
      'Person ' || number, 'person-' || number || '@example.org', 'en', 'person-' || number,
      invited_at
    FROM years_people;

    INSERT INTO teleconference.links (id, organisation_id, participant_id, code_hash, key_id,
      expires_at, created_at)
    SELECT pg_temp.id(invited_at, '003', number), organisation_id, person_id,
      sha256(person_id::text::bytea), 'local', planned_start + interval '7 days', invited_at
    FROM years_people"""

ATTENDANCE = """
    INSERT INTO teleconference.attendance (id, organisation_id, session_id, participant_id, is_host,
      source, connection, joined_at, left_at, leave_reason, is_counted)
    SELECT pg_temp.id(planned_start, '004', number), organisation_id, id, person_id, seat = 0,
      'prosody-1', 'connection-' || number, planned_start + seat * interval '1 min',
      CASE WHEN state = 'ended' THEN planned_start + interval '25 min' END,
      CASE WHEN state = 'ended' THEN 'left' END, state = 'ended'
    FROM years_people WHERE seat < 2 AND state IN ('active', 'ended');

    INSERT INTO teleconference.waiting (participant_id, organisation_id, session_id, state, since,
      present_until, decided_at, decided_by_kind, decided_by)
    SELECT person_id, organisation_id, id, 'admitted', planned_start,
      planned_start + interval '1 min', planned_start + interval '30 s', 'participant', '1'
    FROM years_people WHERE seat = 1 AND state IN ('active', 'ended')"""

EVENTS = """
    CREATE TEMP TABLE years_events ON COMMIT DROP AS
    SELECT s.*, k, s.n * 5 + k AS number, at, pg_temp.id(at, '005', s.n * 5 + k) AS event_id
    FROM years_part s, generate_series(1, 5) k,
    LATERAL (SELECT CASE WHEN k < 4 THEN s.created_at + k * interval '1 second'
      ELSE s.planned_start + (k - 4) * interval '25 min' END AS at) times
    WHERE k < 4 OR state = 'ended' OR (k = 4 AND state = 'active');

    INSERT INTO teleconference.events (id, organisation_id, session_id, sequence, type, data,
      created_at, relayed_at, position)
    SELECT event_id, organisation_id, id, k, (ARRAY['session.created', 'participant.invited',
      'participant.invited', 'session.started', 'session.ended'])[k],
      jsonb_build_object('session_id', id, 'reference', 'case-' || n), at,
      at + interval '50 ms', number FROM years_events;

    INSERT INTO teleconference.webhook_deliveries (id, organisation_id, subscription_id, event_id,
      session_id, sequence, state, attempts, next_attempt_at, last_status, created_at, delivered_at,
      last_attempt_at, last_duration_ms)
    SELECT pg_temp.id(at, '006', number), organisation_id, %(subscription)s, event_id, id, k,
      CASE WHEN number %% 997 = 0 THEN 'failed' ELSE 'delivered' END, 1, at, 200, at,
      at + interval '80 ms', at + interval '60 ms', 20
    FROM years_events WHERE place = 0"""

NOTIFICATIONS = """
    INSERT INTO teleconference.notifications (id, organisation_id, event_id, participant_id, kind,
      state, attempts, next_attempt_at, created_at, sent_at, session_id, occasion, channel, due_at)
    SELECT pg_temp.id(invited_at, '007', number), organisation_id,
      pg_temp.id(created_at + interval '2 seconds', '005', n * 5 + 2), person_id,
      CASE seat WHEN 0 THEN 'invitation' ELSE 'reminder' END,
      CASE WHEN state = 'scheduled' AND seat = 1 THEN 'pending' ELSE 'sent' END, 1,
      CASE WHEN state = 'scheduled' THEN planned_start + interval '1 day' ELSE invited_at END,
      invited_at, invited_at, id, 'once', 'email', invited_at
    FROM years_people WHERE seat < 2"""

# Four of five sessions are of an appointment.
APPOINTMENTS = """
    INSERT INTO clinical.appointments (id, organisation_id, patient_id, provider_id, visit_type,
      reference, status, status_since, planned_start, planned_end, created_at)
    SELECT pg_temp.id(created_at, '008', n), organisation_id, patient_id, provider_id,
      'consultation', 'visit-' || n, (CASE state WHEN 'active' THEN 'in_progress' WHEN 'ended' THEN
        CASE WHEN n %% 30 = 3 THEN 'no_show' ELSE 'completed' END ELSE state END),
      planned_start, planned_start, planned_start + interval '30 min', created_at
    FROM years_part WHERE n %% 5 <> 0;

    INSERT INTO clinical.visits (id, organisation_id, appointment_id, session_id, created_at)
    SELECT pg_temp.id(created_at, '009', n), organisation_id, pg_temp.id(created_at, '008', n), id,
      created_at FROM years_part WHERE n %% 5 <> 0;

    INSERT INTO teleconference.visit_reports (appointment_id, kind, organisation_id, state, changes,
      attempts, next_attempt_at, reported_at)
    SELECT pg_temp.id(created_at, '008', n), 'patient', organisation_id, 'reported', 3, 3,
      planned_start, planned_start FROM years_part WHERE n %% 5 <> 0"""

ROOMS = """
    INSERT INTO teleconference.room_commands (id, organisation_id, session_id, name, args, state,
      attempts, next_attempt_at, created_at, finished_at)
    SELECT pg_temp.id(planned_start, '00c', n), organisation_id, id, 'end', '{}', 'confirmed', 1,
      planned_start, planned_start, planned_start FROM years_part WHERE state = 'ended';

    INSERT INTO teleconference.room_events (id, received_at)
    SELECT pg_temp.id(planned_start, '00d', number), planned_start FROM years_people
    WHERE state = 'ended' AND planned_start > now - interval '7 days';

    INSERT INTO teleconference.idempotency_keys (organisation_id, key, request_hash, status, answer,
      created_at)
    SELECT organisation_id, 'key-' || number, sha256(person_id::text::bytea), 201, '{}',
      now - interval '1 hour'
    FROM years_people WHERE planned_start > now - interval '2 days'"""

# Three at the invitation, seven in the hour of the visit.
AUDIT = """
    CREATE TEMP TABLE years_entries ON COMMIT DROP AS
    SELECT s.*, k, at, pg_temp.id(at, '00e', s.n * 10 + k) AS entry_id
    FROM years_part s, generate_series(0, 9) k,
    LATERAL (SELECT CASE WHEN k < 3 OR planned_start + interval '1 hour' > now
      THEN s.created_at + k * interval '1 second'
      ELSE s.planned_start + k * interval '3 min' END AS at) times;

    INSERT INTO teleconference.audit_entries (id, at, organisation_id, actor_kind, actor_id, action,
      outcome, session_id, participant_id, detail, key_id, proof)
    SELECT entry_id, at, organisation_id, CASE WHEN k < 5 THEN 'client' ELSE 'participant' END,
      CASE WHEN k < 5 THEN %(client)s ELSE pg_temp.id(created_at + k %% 3 * interval '1 second',
        '002', n * 3 + k %% 3)::text END,
      (ARRAY['session.created', 'participant.invited', 'participant.invited', 'session.started',
        'session.read', 'link.opened', 'link.opened', 'participant.joined', 'participant.left',
        'session.ended'])[k + 1],
      CASE WHEN n %% 40 = 0 AND k = 6 THEN 'refused' ELSE 'done' END, id,
      CASE WHEN k > 4 THEN pg_temp.id(created_at + k %% 3 * interval '1 second', '002',
        n * 3 + k %% 3) END,
      '{}', 'local', sha256(entry_id::text::bytea)
    FROM years_entries;

    INSERT INTO teleconference.audit_seals (organisation_id, number, entry_id, entry_at, proof,
      is_genuine, key_id, hash)
    SELECT organisation_id, rank * 10 + k + 1, entry_id, at, sha256(entry_id::text::bytea), true,
      'local', sha256(n::text::bytea) FROM years_entries"""

TABLES = (SESSIONS, PARTICIPANTS, ATTENDANCE, EVENTS, NOTIFICATIONS, APPOINTMENTS, ROOMS, AUDIT)

# What was written is sealed, relayed and known to the planner, as in a database that grew.
FINISH = """
    SELECT setval('teleconference.event_positions', %(count)s * 5 + 100);
    UPDATE teleconference.audit_state
      SET next_xid = pg_snapshot_xmin(pg_current_snapshot())::text::bigint"""
