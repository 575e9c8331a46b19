-- CreateTable
CREATE TABLE "shadow_cursors" (
    "policy" TEXT NOT NULL,
    "policy_version" TEXT NOT NULL,
    "transaction_id" xid8 NOT NULL,
    "decision_id" UUID NOT NULL,

    CONSTRAINT "shadow_cursors_pkey" PRIMARY KEY ("policy","policy_version")
);

-- CreateTable
CREATE TABLE "shadow_daily" (
    "user_id" TEXT NOT NULL,
    "policy" TEXT NOT NULL,
    "policy_version" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "decisions" BIGINT NOT NULL,
    "agreement_micro" BIGINT NOT NULL,
    "divergence_micro" BIGINT NOT NULL,
    "mass_on_chosen_micro" BIGINT NOT NULL,
    "unsupported_micro" BIGINT NOT NULL,
    "weight_micro" BIGINT NOT NULL,
    "weight_squared_milli" BIGINT NOT NULL,
    "weight_max_micro" BIGINT NOT NULL,
    "errors" BIGINT NOT NULL,
    "skipped_vectors" BIGINT NOT NULL,
    "skipped_statistics" BIGINT NOT NULL,
    "skipped_propensities" BIGINT NOT NULL,
    "cpu_micros" BIGINT NOT NULL,

    CONSTRAINT "shadow_daily_pkey" PRIMARY KEY ("user_id","policy","policy_version","day")
);

-- CreateTable
CREATE TABLE "shadow_scores" (
    "user_id" TEXT NOT NULL,
    "decision_id" UUID NOT NULL,
    "policy" TEXT NOT NULL,
    "policy_version" TEXT NOT NULL,
    "decided_at" TIMESTAMPTZ(3) NOT NULL,
    "propensity" DOUBLE PRECISION NOT NULL,
    "unsupported" DOUBLE PRECISION NOT NULL,
    "top_tip_id" TEXT NOT NULL,
    "expected_vector" DOUBLE PRECISION[],

    CONSTRAINT "shadow_scores_pkey" PRIMARY KEY ("user_id","decision_id","policy","policy_version")
);

-- CreateIndex
CREATE INDEX "shadow_scores_decided_at_idx" ON "shadow_scores" USING BRIN ("decided_at");

-- CreateIndex
-- The decisions in the order of the transactions that stored them, whatever version of the contract they are of: what
-- shadows go through. No schema can tell of it.
CREATE INDEX "events_decisions_idx" ON "events"("transaction_id", "event_id") WHERE ("type" LIKE '%.TipScored');
