-- When a person asked for the removal of a deployment: a wish, so the audit entry goes on.
ALTER TABLE "deployments" ADD COLUMN "undeploy_at" timestamp with time zone;
--> statement-breakpoint
-- The journal of events as they came in, and the ways to ask for decisions.
CREATE TABLE "events" (
  "event_id" text PRIMARY KEY,
  "received_at" timestamp with time zone NOT NULL,
  "type" text NOT NULL,
  "event" json NOT NULL,
  "handled_at" timestamp with time zone
);
--> statement-breakpoint
-- Few are open at a time, however long the journal is.
CREATE INDEX "events_open_idx" ON "events" ("received_at", "event_id") WHERE "handled_at" IS NULL;
--> statement-breakpoint
CREATE INDEX "events_handled_at_idx" ON "events" ("handled_at");
--> statement-breakpoint
CREATE INDEX "decisions_deployment_id_idx" ON "decisions" ("deployment_id");
--> statement-breakpoint
CREATE INDEX "decisions_chute_id_idx" ON "decisions" ("chute_id", "decided_at");
--> statement-breakpoint
CREATE INDEX "decisions_server_idx" ON "decisions" ("server", "decided_at");
