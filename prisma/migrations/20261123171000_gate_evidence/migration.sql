-- AlterTable
ALTER TABLE "shadow_daily" ADD COLUMN     "slow" BIGINT NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "tip_scores" ADD COLUMN     "elapsed_micros" INTEGER NOT NULL DEFAULT 0;
