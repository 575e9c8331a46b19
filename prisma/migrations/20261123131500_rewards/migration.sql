-- AlterTable
ALTER TABLE "tip_outcomes" ADD COLUMN     "reward_event_id" UUID,
ADD COLUMN     "reward_milli" SMALLINT,
ADD COLUMN     "reward_version" TEXT;

-- AlterTable
ALTER TABLE "tip_scores" ADD COLUMN     "vector" INTEGER[],
ADD COLUMN     "vector_version" TEXT;

-- CreateTable
CREATE TABLE "policy_stats" (
    "user_id" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "count" BIGINT NOT NULL,
    "xx" BIGINT[],
    "xy" BIGINT[],
    "reward" BIGINT NOT NULL,
    "reward_squared" BIGINT NOT NULL,

    CONSTRAINT "policy_stats_pkey" PRIMARY KEY ("user_id","version")
);

-- CreateTable
CREATE TABLE "policy_population" (
    "id" UUID NOT NULL,
    "measured_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "version" TEXT NOT NULL,
    "people" BIGINT NOT NULL,
    "count" BIGINT NOT NULL,
    "xx" BIGINT[],
    "xy" BIGINT[],
    "reward" BIGINT NOT NULL,
    "reward_squared" BIGINT NOT NULL,

    CONSTRAINT "policy_population_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "policy_population_version_measured_at_idx" ON "policy_population"("version", "measured_at");

-- CreateIndex
CREATE INDEX "tip_outcomes_unrewarded_idx" ON "tip_outcomes"("outcome_at") WHERE (decided_at IS NOT NULL AND outcome_event_id IS DISTINCT FROM reward_event_id);
