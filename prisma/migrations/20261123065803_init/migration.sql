-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "events" (
    "event_id" UUID NOT NULL,
    "type" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,
    "received_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "transaction_id" xid8 NOT NULL DEFAULT pg_current_xact_id(),
    "schema_version" TEXT NOT NULL,
    "producer" TEXT NOT NULL,
    "envelope" BYTEA NOT NULL,

    CONSTRAINT "events_pkey" PRIMARY KEY ("event_id")
);

-- CreateTable
CREATE TABLE "user_daily" (
    "user_id" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "served" INTEGER NOT NULL DEFAULT 0,
    "done" INTEGER NOT NULL DEFAULT 0,
    "dismissed" INTEGER NOT NULL DEFAULT 0,
    "snoozed" INTEGER NOT NULL DEFAULT 0,
    "helpful" INTEGER NOT NULL DEFAULT 0,
    "not_helpful" INTEGER NOT NULL DEFAULT 0,
    "dwell_ms" BIGINT NOT NULL DEFAULT 0,
    "dwell_count" INTEGER NOT NULL DEFAULT 0,
    "last_served_at" TIMESTAMPTZ(3),
    "last_reaction_at" TIMESTAMPTZ(3),

    CONSTRAINT "user_daily_pkey" PRIMARY KEY ("user_id","day")
);

-- CreateTable
CREATE TABLE "user_hourly" (
    "user_id" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "hour" SMALLINT NOT NULL,
    "done" INTEGER NOT NULL DEFAULT 0,
    "last_done_at" TIMESTAMPTZ(3),

    CONSTRAINT "user_hourly_pkey" PRIMARY KEY ("user_id","day","hour")
);

-- CreateTable
CREATE TABLE "tip_scores" (
    "decision_id" UUID NOT NULL,
    "request_id" UUID NOT NULL,
    "user_id" TEXT NOT NULL,
    "tip_id" TEXT NOT NULL,
    "decided_at" TIMESTAMPTZ(3) NOT NULL,
    "policy" TEXT NOT NULL,
    "policy_version" TEXT NOT NULL,
    "model_version" TEXT,
    "tip_kind" TEXT NOT NULL,
    "tip_source" TEXT NOT NULL,
    "llm_model" TEXT,
    "prompt_version" TEXT,
    "score" DOUBLE PRECISION NOT NULL,
    "propensity" DOUBLE PRECISION NOT NULL,
    "candidates" INTEGER NOT NULL,
    "degradations" TEXT[],

    CONSTRAINT "tip_scores_pkey" PRIMARY KEY ("decision_id")
);

-- CreateTable
CREATE TABLE "tip_feedback" (
    "event_id" UUID NOT NULL,
    "user_id" TEXT NOT NULL,
    "tip_id" TEXT NOT NULL,
    "decision_id" UUID,
    "reaction" TEXT NOT NULL,
    "dwell_ms" BIGINT,
    "reward_milli" INTEGER NOT NULL,
    "reward_version" TEXT NOT NULL,
    "reacted_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "tip_feedback_pkey" PRIMARY KEY ("event_id")
);

-- CreateTable
CREATE TABLE "generated_tips" (
    "event_id" UUID NOT NULL,
    "tip_id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "generated_at" TIMESTAMPTZ(3) NOT NULL,
    "tip_kind" TEXT NOT NULL,
    "tip_source" TEXT NOT NULL,
    "llm_model" TEXT,
    "prompt_version" TEXT NOT NULL,
    "prompt_hash" TEXT NOT NULL,
    "signal_ids" TEXT[],

    CONSTRAINT "generated_tips_pkey" PRIMARY KEY ("event_id","tip_id")
);

-- CreateIndex
CREATE INDEX "events_user_id_occurred_at_idx" ON "events"("user_id", "occurred_at");

-- CreateIndex
CREATE INDEX "tip_scores_user_id_decided_at_idx" ON "tip_scores"("user_id", "decided_at");

-- CreateIndex
CREATE INDEX "tip_scores_prompt_version_decided_at_idx" ON "tip_scores"("prompt_version", "decided_at");

-- CreateIndex
CREATE INDEX "tip_feedback_decision_id_idx" ON "tip_feedback"("decision_id");

-- CreateIndex
CREATE INDEX "tip_feedback_user_id_reacted_at_idx" ON "tip_feedback"("user_id", "reacted_at");

-- CreateIndex
CREATE INDEX "generated_tips_tip_id_idx" ON "generated_tips"("tip_id");

-- CreateIndex
CREATE INDEX "generated_tips_user_id_idx" ON "generated_tips"("user_id");
