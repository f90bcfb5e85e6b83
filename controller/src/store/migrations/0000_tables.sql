CREATE TABLE "servers" (
  "server_id" text PRIMARY KEY,
  "name" text NOT NULL CONSTRAINT "servers_name_key" UNIQUE,
  "validator" text NOT NULL,
  "ip_address" text NOT NULL,
  "agent_api" text,
  "gpu_short_ref" text NOT NULL,
  "cpu_per_gpu" integer NOT NULL,
  "memory_per_gpu" integer NOT NULL,
  "disk_gb" integer NOT NULL,
  "hourly_cost" double precision NOT NULL,
  "locked" boolean NOT NULL DEFAULT false,
  "is_tee" boolean NOT NULL DEFAULT false,
  "seed" bigint,
  "verification_port" integer,
  "created_at" timestamp with time zone NOT NULL DEFAULT now()
);
--> statement-breakpoint
CREATE TABLE "gpus" (
  "gpu_id" text PRIMARY KEY,
  "server_id" text NOT NULL REFERENCES "servers" ("server_id") ON DELETE CASCADE,
  "device_index" integer NOT NULL,
  "model_short_ref" text NOT NULL,
  "verified" boolean NOT NULL DEFAULT false,
  "device_info" jsonb NOT NULL
);
--> statement-breakpoint
CREATE INDEX "gpus_server_id_idx" ON "gpus" ("server_id");
--> statement-breakpoint
CREATE TABLE "chutes" (
  "validator" text NOT NULL,
  "chute_id" text NOT NULL,
  "name" text NOT NULL,
  "version" text NOT NULL,
  "image" text NOT NULL,
  "ref_str" text NOT NULL,
  "filename" text NOT NULL,
  "code" text,
  "chutes_version" text,
  "supported_gpus" text[] NOT NULL,
  "gpu_count" integer NOT NULL,
  "tee" boolean NOT NULL DEFAULT false,
  "preemptible" boolean NOT NULL DEFAULT true,
  "disabled" boolean NOT NULL DEFAULT false,
  "job_only" boolean NOT NULL DEFAULT false,
  "job_ports" jsonb NOT NULL,
  "effective_compute_multiplier" double precision NOT NULL DEFAULT 1,
  "bounty" double precision NOT NULL DEFAULT 0,
  CONSTRAINT "chutes_pkey" PRIMARY KEY ("validator", "chute_id")
);
--> statement-breakpoint
CREATE TABLE "deployments" (
  "deployment_id" text PRIMARY KEY,
  "chute_id" text NOT NULL,
  "server_id" text NOT NULL REFERENCES "servers" ("server_id") ON DELETE CASCADE,
  "validator" text NOT NULL,
  "version" text NOT NULL,
  "config_id" text,
  "instance_id" text,
  "job_id" text,
  "gpu_ids" text[] NOT NULL,
  "node_ports" integer[] NOT NULL,
  "planned_at" timestamp with time zone NOT NULL,
  "token_at" timestamp with time zone,
  "secret_at" timestamp with time zone,
  "committed_at" timestamp with time zone,
  "running_at" timestamp with time zone,
  "claimed_at" timestamp with time zone,
  "verified_at" timestamp with time zone,
  "activated_at" timestamp with time zone,
  "instance_gone_at" timestamp with time zone,
  "removed_at" timestamp with time zone,
  "gone_at" timestamp with time zone
);
--> statement-breakpoint
CREATE INDEX "deployments_server_id_idx" ON "deployments" ("server_id");
--> statement-breakpoint
CREATE INDEX "deployments_chute_id_idx" ON "deployments" ("chute_id");
--> statement-breakpoint
CREATE INDEX "deployments_config_id_idx" ON "deployments" ("config_id");
--> statement-breakpoint
CREATE INDEX "deployments_instance_id_idx" ON "deployments" ("instance_id");
--> statement-breakpoint
CREATE INDEX "deployments_job_id_idx" ON "deployments" ("job_id");
--> statement-breakpoint
CREATE INDEX "deployments_gone_at_idx" ON "deployments" ("gone_at");
--> statement-breakpoint
CREATE TABLE "decisions" (
  "decision_id" text PRIMARY KEY,
  "decided_at" timestamp with time zone NOT NULL,
  "kind" text NOT NULL,
  "deployment_id" text NOT NULL,
  "chute_id" text NOT NULL,
  "server" text NOT NULL,
  "reason" text NOT NULL,
  "commit" text,
  "decision" json NOT NULL
);
--> statement-breakpoint
CREATE INDEX "decisions_decided_at_idx" ON "decisions" ("decided_at");
