-- DropIndex
DROP INDEX "tip_feedback_user_id_reacted_at_idx";

-- AlterTable
ALTER TABLE "tip_feedback" DROP CONSTRAINT "tip_feedback_pkey",
ADD CONSTRAINT "tip_feedback_pkey" PRIMARY KEY ("user_id", "event_id");

-- CreateIndex
CREATE INDEX "tip_feedback_reacted_at_idx" ON "tip_feedback" USING BRIN ("reacted_at");

-- CreateIndex
CREATE INDEX "tip_outcomes_served_at_idx" ON "tip_outcomes" USING BRIN ("served_at");


