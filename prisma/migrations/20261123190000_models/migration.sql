-- CreateTable
CREATE TABLE "models" (
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "models_pkey" PRIMARY KEY ("name")
);

-- CreateTable
CREATE TABLE "model_versions" (
    "number" BIGINT NOT NULL,
    "model" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "hash" TEXT NOT NULL,
    "manifest" JSONB NOT NULL,
    "artifact" TEXT NOT NULL,
    "golden_batch" TEXT,
    "card" JSONB NOT NULL,
    "actor" TEXT NOT NULL,
    "registered_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "model_versions_pkey" PRIMARY KEY ("number")
);

-- CreateTable
CREATE TABLE "model_contents" (
    "sha256" TEXT NOT NULL,
    "bytes" BYTEA NOT NULL,

    CONSTRAINT "model_contents_pkey" PRIMARY KEY ("sha256")
);

-- CreateIndex
CREATE UNIQUE INDEX "model_versions_hash_key" ON "model_versions"("hash");

-- CreateIndex
CREATE UNIQUE INDEX "model_versions_model_version_key" ON "model_versions"("model", "version");

-- AddForeignKey
ALTER TABLE "model_versions" ADD CONSTRAINT "model_versions_model_fkey" FOREIGN KEY ("model") REFERENCES "models"("name") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "model_versions" ADD CONSTRAINT "model_versions_artifact_fkey" FOREIGN KEY ("artifact") REFERENCES "model_contents"("sha256") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "model_versions" ADD CONSTRAINT "model_versions_golden_batch_fkey" FOREIGN KEY ("golden_batch") REFERENCES "model_contents"("sha256") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Versions, and what is in them, stay as they are.
CREATE FUNCTION "models_stay"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only appended to', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER "model_versions_stay" BEFORE UPDATE OR DELETE OR TRUNCATE ON "model_versions"
    FOR EACH STATEMENT EXECUTE FUNCTION "models_stay"();
CREATE TRIGGER "model_contents_stay" BEFORE UPDATE OR DELETE OR TRUNCATE ON "model_contents"
    FOR EACH STATEMENT EXECUTE FUNCTION "models_stay"();
