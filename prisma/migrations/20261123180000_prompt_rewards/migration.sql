-- CreateTable
CREATE TABLE "prompt_rewards" (
    "user_id" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "prompt_version" TEXT NOT NULL,
    "llm_model" TEXT NOT NULL,
    "tip_kind" TEXT NOT NULL,
    "policy" TEXT NOT NULL,
    "served" INTEGER NOT NULL DEFAULT 0,
    "done" INTEGER NOT NULL DEFAULT 0,
    "dismissed" INTEGER NOT NULL DEFAULT 0,
    "snoozed" INTEGER NOT NULL DEFAULT 0,
    "helpful" INTEGER NOT NULL DEFAULT 0,
    "not_helpful" INTEGER NOT NULL DEFAULT 0,
    "reward_milli" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "prompt_rewards_pkey" PRIMARY KEY ("user_id","day","prompt_version","llm_model","tip_kind","policy")
);

-- CreateIndex
CREATE INDEX "prompt_rewards_day_idx" ON "prompt_rewards" USING BRIN ("day");

-- What the decisions and rewards up to here add up to: a reward that changes later is taken out by what it counted for.
INSERT INTO prompt_rewards
SELECT tip.user_id, (tip.decided_at AT TIME ZONE 'UTC')::date, coalesce(tip.prompt_version, ''), coalesce(tip.llm_model, ''),
  tip.tip_kind, tip.policy, count(*),
  count(*) FILTER (WHERE counted.reaction = 'done'), count(*) FILTER (WHERE counted.reaction = 'dismiss'),
  count(*) FILTER (WHERE counted.reaction = 'snooze'), count(*) FILTER (WHERE counted.reaction = 'helpful'),
  count(*) FILTER (WHERE counted.reaction = 'not_helpful'),
  coalesce(sum(outcome.reward_milli) FILTER (WHERE counted.reaction IS NOT NULL), 0)
FROM tip_scores AS tip
LEFT JOIN tip_outcomes AS outcome USING (decision_id, user_id, tip_id)
LEFT JOIN tip_feedback AS counted ON (counted.user_id, counted.event_id) = (outcome.user_id, outcome.reward_event_id)
GROUP BY 1, 2, 3, 4, 5, 6;
