-- CreateTable
CREATE TABLE "pipeline_runs" (
    "dag" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "as_of" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "pipeline_runs_pkey" PRIMARY KEY ("dag","run_id")
);

-- CreateTable
CREATE TABLE "pipeline_steps" (
    "dag" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "step" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "input_hash" TEXT NOT NULL,
    "output" JSONB,
    "reason" TEXT,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "pipeline_steps_pkey" PRIMARY KEY ("dag","run_id","step")
);

-- CreateIndex
CREATE INDEX "pipeline_runs_created_at_idx" ON "pipeline_runs"("created_at");

-- AddForeignKey
ALTER TABLE "pipeline_steps" ADD CONSTRAINT "pipeline_steps_dag_run_id_fkey" FOREIGN KEY ("dag", "run_id") REFERENCES "pipeline_runs"("dag", "run_id") ON DELETE CASCADE ON UPDATE CASCADE;
