-- AlterTable
ALTER TABLE "rollouts" ADD COLUMN     "card_hash" TEXT;

-- CreateTable
CREATE TABLE "policy_cards" (
    "number" BIGSERIAL NOT NULL,
    "policy" TEXT NOT NULL,
    "policy_version" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "card" JSONB NOT NULL,
    "actor" TEXT NOT NULL,
    "made_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "policy_cards_pkey" PRIMARY KEY ("number")
);

-- CreateIndex
CREATE INDEX "policy_cards_policy_policy_version_number_idx" ON "policy_cards"("policy", "policy_version", "number");

-- Cards stay as they are: a better one is another.
CREATE TRIGGER "policy_cards_stay" BEFORE UPDATE OR DELETE OR TRUNCATE ON "policy_cards"
    FOR EACH STATEMENT EXECUTE FUNCTION "models_stay"();
