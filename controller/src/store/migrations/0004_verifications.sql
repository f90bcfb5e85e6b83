-- Servers that are being added or verified again, and servers whose GPUs are not what was verified.
CREATE TABLE "verifications" (
  "name" text PRIMARY KEY,
  "verification" json NOT NULL
);
--> statement-breakpoint
ALTER TABLE "servers" ADD COLUMN "cordoned" text;
