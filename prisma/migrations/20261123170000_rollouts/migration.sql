-- CreateTable
CREATE TABLE "rollouts" (
    "number" BIGINT NOT NULL,
    "policy" TEXT NOT NULL,
    "policy_version" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "actor" TEXT NOT NULL,
    "caller" TEXT NOT NULL,
    "from_stage" TEXT,
    "to_stage" TEXT NOT NULL,
    "percent" SMALLINT NOT NULL,
    "reason" TEXT NOT NULL,
    "expected_divergence" TEXT,
    "override_reason" TEXT,
    "cause_number" BIGINT,
    "verdict" JSONB,

    CONSTRAINT "rollouts_pkey" PRIMARY KEY ("number")
);

-- CreateTable
CREATE TABLE "gate_verdicts" (
    "subject" TEXT NOT NULL,
    "judged_at" TIMESTAMPTZ(3) NOT NULL,
    "verdict" JSONB NOT NULL,

    CONSTRAINT "gate_verdicts_pkey" PRIMARY KEY ("subject")
);

-- Steps are only appended.
CREATE FUNCTION "rollouts_stay"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rollouts is only appended to';
END
$$;
CREATE TRIGGER "rollouts_stay" BEFORE UPDATE OR DELETE OR TRUNCATE ON "rollouts"
    FOR EACH STATEMENT EXECUTE FUNCTION "rollouts_stay"();
