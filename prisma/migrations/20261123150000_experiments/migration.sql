-- AlterTable
ALTER TABLE "tip_scores" ADD COLUMN     "experiment_arms" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "experiment_versions" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "experiments" TEXT[] DEFAULT ARRAY[]::TEXT[];

-- CreateTable
CREATE TABLE "experiment_sets" (
    "id" BIGINT NOT NULL,
    "previous_id" BIGINT NOT NULL,
    "version" TEXT NOT NULL,
    "definitions" JSONB NOT NULL,
    "actor" TEXT NOT NULL,
    "caller" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "experiment_sets_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "experiment_stats" (
    "user_id" TEXT NOT NULL,
    "experiment" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "arm" TEXT NOT NULL,
    "decisions" BIGINT NOT NULL DEFAULT 0,
    "rewards" BIGINT NOT NULL DEFAULT 0,
    "reward_milli" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "experiment_stats_pkey" PRIMARY KEY ("user_id","experiment","version","arm")
);

-- CreateIndex
CREATE INDEX "experiment_stats_experiment_version_idx" ON "experiment_stats"("experiment", "version");
