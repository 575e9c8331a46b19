-- CreateTable
CREATE TABLE "event_ids" (
    "event_id" UUID NOT NULL,

    CONSTRAINT "event_ids_pkey" PRIMARY KEY ("event_id")
);

-- `events` anew, in partitions: a table cannot become a partitioned one, so its rows move.
ALTER TABLE "events" RENAME TO "events_before";
ALTER TABLE "events_before" RENAME CONSTRAINT "events_pkey" TO "events_before_pkey";

CREATE TABLE "events" (
    "event_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,
    "received_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "stored_on" DATE NOT NULL DEFAULT CURRENT_DATE,
    "transaction_id" xid8 NOT NULL DEFAULT pg_current_xact_id(),
    "schema_version" TEXT NOT NULL,
    "producer" TEXT NOT NULL,
    "envelope" BYTEA NOT NULL,

    CONSTRAINT "events_pkey" PRIMARY KEY ("user_id","event_id","stored_on")
) PARTITION BY RANGE ("stored_on");

-- Takes what no month takes. It stays empty: the consumers make each month's partition ahead.
CREATE TABLE "events_default" PARTITION OF "events" DEFAULT;

DO $$
DECLARE
    month date := date_trunc('month', coalesce((SELECT min("received_at") FROM "events_before"), now()));
BEGIN
    WHILE month <= date_trunc('month', CURRENT_DATE) + interval '1 month' LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF "events" FOR VALUES FROM (%L) TO (%L)',
            to_char(month, '"events_"YYYY"_"MM'), month, (month + interval '1 month')::date);
        month := month + interval '1 month';
    END LOOP;
END $$;

INSERT INTO "events" ("event_id", "type", "user_id", "occurred_at", "received_at", "stored_on", "transaction_id", "schema_version", "producer", "envelope")
SELECT "event_id", "type", "user_id", "occurred_at", "received_at", "received_at"::date, "transaction_id", "schema_version", "producer", "envelope"
FROM "events_before";
INSERT INTO "event_ids" ("event_id") SELECT "event_id" FROM "events_before";
DROP TABLE "events_before";

-- DropIndex
DROP INDEX "tip_feedback_decision_id_idx";

-- AlterTable
ALTER TABLE "user_hourly" ADD COLUMN     "weekday" SMALLINT;

-- CreateTable
CREATE TABLE "dropped_partitions" (
    "name" TEXT NOT NULL,
    "from_day" DATE NOT NULL,
    "to_day" DATE NOT NULL,
    "events" BIGINT NOT NULL,
    "dropped_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "dropped_partitions_pkey" PRIMARY KEY ("name")
);

-- CreateTable
CREATE TABLE "tip_outcomes" (
    "user_id" TEXT NOT NULL,
    "tip_id" TEXT NOT NULL,
    "decision_id" UUID NOT NULL,
    "decided_at" TIMESTAMPTZ(3),
    "served_at" TIMESTAMPTZ(3),
    "tip_kind" TEXT,
    "tip_source" TEXT,
    "outcome_rank" SMALLINT,
    "outcome_at" TIMESTAMPTZ(3),
    "outcome_event_id" UUID,
    "outcome" TEXT,
    "dwell_ms" BIGINT,

    CONSTRAINT "tip_outcomes_pkey" PRIMARY KEY ("user_id","tip_id","decision_id")
);

-- CreateTable
CREATE TABLE "user_tasks" (
    "user_id" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "synced_at" TIMESTAMPTZ(3),
    "synced_event_id" UUID,
    "open_tasks" INTEGER,
    "overdue_tasks" INTEGER,

    CONSTRAINT "user_tasks_pkey" PRIMARY KEY ("user_id","provider")
);

-- CreateTable
CREATE TABLE "user_health" (
    "user_id" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "measure" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "sampled_at" TIMESTAMPTZ(3),
    "sampled_event_id" UUID,
    "value" INTEGER,

    CONSTRAINT "user_health_pkey" PRIMARY KEY ("user_id","day","measure","provider")
);

-- CreateTable
CREATE TABLE "user_integrations" (
    "user_id" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "changed_at" TIMESTAMPTZ(3),
    "changed_event_id" UUID,
    "status" TEXT,

    CONSTRAINT "user_integrations_pkey" PRIMARY KEY ("user_id","provider")
);

-- CreateTable
CREATE TABLE "population" (
    "measured_at" TIMESTAMPTZ(3) NOT NULL,
    "dimension" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "transaction_id" xid8 NOT NULL DEFAULT pg_current_xact_id(),
    "served" BIGINT NOT NULL,
    "done" BIGINT NOT NULL,
    "dismissed" BIGINT NOT NULL,
    "snoozed" BIGINT NOT NULL,

    CONSTRAINT "population_pkey" PRIMARY KEY ("measured_at","dimension","value")
);

-- CreateTable
CREATE TABLE "dead_letters" (
    "id" UUID NOT NULL,
    "stream" TEXT NOT NULL,
    "stream_sequence" BIGINT NOT NULL,
    "subject" TEXT NOT NULL,
    "headers" JSONB NOT NULL,
    "data" BYTEA NOT NULL,
    "event_id" UUID,
    "user_id" TEXT,
    "reason" TEXT NOT NULL,
    "error" TEXT NOT NULL,
    "deliveries" INTEGER NOT NULL,
    "first_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "replayed_at" TIMESTAMPTZ(3),
    "sequences" BIGINT[],

    CONSTRAINT "dead_letters_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "erasures" (
    "user_hash" BYTEA NOT NULL,
    "erased_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "reason" TEXT NOT NULL,
    "rows_removed" BIGINT NOT NULL,
    "refused_events" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "erasures_pkey" PRIMARY KEY ("user_hash")
);

-- CreateTable
CREATE TABLE "erasure_salt" (
    "id" BOOLEAN NOT NULL DEFAULT true,
    "salt" BYTEA NOT NULL,

    CONSTRAINT "erasure_salt_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "rebuilds" (
    "id" UUID NOT NULL,
    "scope" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "done_up_to" TEXT NOT NULL DEFAULT '',
    "people" BIGINT NOT NULL DEFAULT 0,
    "events" BIGINT NOT NULL DEFAULT 0,
    "rows_changed" BIGINT NOT NULL DEFAULT 0,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "rebuilds_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "dead_letters_last_seen_at_idx" ON "dead_letters"("last_seen_at");

-- CreateIndex
CREATE INDEX "dead_letters_user_id_idx" ON "dead_letters"("user_id");

-- The salt of the hashes in `erasures`.
INSERT INTO "erasure_salt" ("salt") VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
