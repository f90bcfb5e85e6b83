-- What the hourly audit upload reports (protocol.md 6.5, 8). Rows are written by triggers on deployments and survive deletes.
CREATE TABLE "deployment_audit" (
  "deployment_id" text PRIMARY KEY,
  "validator" text NOT NULL,
  "chute_id" text NOT NULL,
  "version" text NOT NULL,
  "instance_id" text,
  "created_at" timestamp with time zone NOT NULL,
  "verified_at" timestamp with time zone,
  "deleted_at" timestamp with time zone
);
--> statement-breakpoint
CREATE INDEX "idx_deployment_audit_ts" ON "deployment_audit" ("verified_at", "deleted_at");
--> statement-breakpoint
-- A row that comes back (its server was deleted and added again) opens its audit entry again. Rebuilt rows arrive with their times set.
CREATE FUNCTION fn_deployment_audit_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO deployment_audit AS audit
    (deployment_id, validator, chute_id, version, instance_id, created_at, verified_at, deleted_at)
  VALUES (
    NEW.deployment_id, NEW.validator, NEW.chute_id, NEW.version,
    CASE WHEN NEW.verified_at IS NOT NULL THEN NEW.instance_id END,
    NEW.planned_at, NEW.verified_at, least(NEW.instance_gone_at, NEW.removed_at, NEW.gone_at)
  )
  ON CONFLICT (deployment_id) DO UPDATE SET
    instance_id = coalesce(audit.instance_id, EXCLUDED.instance_id),
    verified_at = coalesce(audit.verified_at, EXCLUDED.verified_at),
    deleted_at = EXCLUDED.deleted_at;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER tr_deployment_audit_insert AFTER INSERT ON "deployments"
  FOR EACH ROW EXECUTE FUNCTION fn_deployment_audit_insert();
--> statement-breakpoint
-- The instance id belongs to the entry as soon as the instance is verified, whichever of the two is learned first (trap 27).
-- A row here outlives its deployment, so an entry ends with the first sign of the end and not only with the row.
CREATE FUNCTION fn_deployment_audit_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE deployment_audit SET
    verified_at = coalesce(verified_at, NEW.verified_at),
    instance_id = CASE WHEN coalesce(verified_at, NEW.verified_at) IS NULL THEN instance_id
                       ELSE coalesce(instance_id, NEW.instance_id) END,
    deleted_at = coalesce(deleted_at, least(NEW.instance_gone_at, NEW.removed_at, NEW.gone_at))
  WHERE deployment_id = NEW.deployment_id;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER tr_deployment_audit_update AFTER UPDATE ON "deployments"
  FOR EACH ROW WHEN (
    (OLD.verified_at, OLD.instance_id, OLD.instance_gone_at, OLD.removed_at, OLD.gone_at)
    IS DISTINCT FROM (NEW.verified_at, NEW.instance_id, NEW.instance_gone_at, NEW.removed_at, NEW.gone_at)
  ) EXECUTE FUNCTION fn_deployment_audit_update();
--> statement-breakpoint
CREATE FUNCTION fn_deployment_audit_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE deployment_audit SET deleted_at = now() WHERE deployment_id = OLD.deployment_id AND deleted_at IS NULL;
  RETURN OLD;
END $$;
--> statement-breakpoint
CREATE TRIGGER tr_deployment_audit_delete BEFORE DELETE ON "deployments"
  FOR EACH ROW EXECUTE FUNCTION fn_deployment_audit_delete();
