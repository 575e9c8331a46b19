-- AlterTable
ALTER TABLE "generated_tips" ADD COLUMN     "experiment_arms" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "experiment_versions" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "experiments" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "measurement" INTEGER;

-- CreateIndex
CREATE INDEX "generated_tips_experiments_idx" ON "generated_tips"("user_id", "tip_id") WHERE (experiments <> '{}');

-- CreateTable
CREATE TABLE "bandit_measurements" (
    "number" INTEGER NOT NULL,
    "experiment" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "arm" TEXT NOT NULL,
    "measured_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "people" BIGINT NOT NULL,
    "tips" BIGINT NOT NULL,
    "reward_milli" BIGINT NOT NULL,

    CONSTRAINT "bandit_measurements_pkey" PRIMARY KEY ("experiment","version","number","arm")
);

-- CreateIndex
CREATE INDEX "bandit_measurements_number_idx" ON "bandit_measurements"("number");
